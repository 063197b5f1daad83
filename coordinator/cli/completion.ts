/** What may come next on a command line that is not finished. */
import type { Command, Option } from 'commander';
import { within } from '../../shared/abort.ts';
import { openProjects } from '../project/open-projects.ts';
import { openCoordinator, type GlobalOptions } from './global-options.ts';

/** Milliseconds that somebody who pressed a key waits for a coordinator. */
const patience = 2000;
/** Builds that are offered. */
const newest = 50;

type Kind = 'app' | 'agent' | 'build';
/** Where to find what the arguments of a command name; other arguments are files or free text. */
export type Sources = Readonly<Record<Kind, () => Promise<readonly string[]>>>;

const kinds: Readonly<Record<string, Kind>> = {
  build: 'app',
  doctor: 'app',
  'agents drain': 'agent',
  'agents resume': 'agent',
  'agents rm': 'agent',
  show: 'build',
  logs: 'build',
  attach: 'build',
  cancel: 'build',
  retry: 'build',
  amend: 'build',
};

/** `words` are those after the command's own name, the last one being what is written just now, perhaps nothing yet. */
export async function complete(
  program: Command,
  words: readonly string[],
  sources: (given: Readonly<Record<string, string>>) => Sources,
): Promise<string[]> {
  const [current = '', ...before] = rejoined(words).toReversed();
  const { command, path, positionals, given, expects } = walk(program, before.toReversed());
  const candidates = async (): Promise<readonly string[]> => {
    if (expects !== undefined) return expects.argChoices ?? [];
    const [, flag] = /^(--[^=]+)=/.exec(current) ?? [];
    if (flag !== undefined) return choicesOf(command, flag).map((choice) => `${flag}=${choice}`);
    if (current.startsWith('-')) return flagsOf(command);
    const verbs = positionals === 0 ? verbsOf(command) : [];
    const kind = positionals === 0 || path === 'agents rm' ? kinds[path] : undefined;
    return [...verbs, ...(kind === undefined ? [] : await sources(given)[kind]())];
  };
  return (await candidates()).filter((candidate) => candidate.startsWith(current));
}

interface Place {
  readonly command: Command;
  /** Its name and those of the commands above it, without the program's. */
  readonly path: string;
  readonly positionals: number;
  /** Options that were given with a value, by their names as attributes. */
  readonly given: Readonly<Record<string, string>>;
  /** The option whose value comes next. */
  readonly expects: Option | undefined;
}

function walk(program: Command, words: readonly string[]): Place {
  let command = program;
  const path: string[] = [];
  let positionals = 0;
  const given: Record<string, string> = {};
  let expects: Option | undefined;
  for (const word of words) {
    if (expects !== undefined) {
      given[expects.attributeName()] = word;
      expects = undefined;
      continue;
    }
    if (word.startsWith('-') && word !== '-') {
      const [flag = '', value] = word.split(/=(.*)/s);
      const option = optionsOf(command).find(({ long, short }) => flag === long || flag === short);
      if (option === undefined || option.isBoolean()) continue;
      if (value === undefined) expects = option;
      else given[option.attributeName()] = value;
      continue;
    }
    const next = command.commands.find((each) => each.name() === word || each.aliases().includes(word));
    if (next === undefined) positionals += 1;
    else {
      command = next;
      path.push(next.name());
    }
  }
  return { command, path: path.join(' '), positionals, given, expects };
}

/** Its own and those of the commands above it. */
function optionsOf(command: Command | null): readonly Option[] {
  return command === null ? [] : [...command.options, ...optionsOf(command.parent)];
}

function choicesOf(command: Command, flag: string): readonly string[] {
  return optionsOf(command).find(({ long }) => long === flag)?.argChoices ?? [];
}

function flagsOf(command: Command): string[] {
  const options = optionsOf(command).filter(({ hidden }) => !hidden);
  return ['--help', ...options.flatMap(({ long }) => long ?? [])].toSorted();
}

function verbsOf(command: Command): string[] {
  const visible = command.createHelp().visibleCommands(command);
  return visible.map((verb) => verb.name()).filter((name) => name !== 'help');
}

/** Bash takes words apart at `=` and `:`. */
function rejoined(words: readonly string[]): string[] {
  const joined: string[] = [];
  for (const [index, word] of words.entries()) {
    const last = joined.length - 1;
    if (word === '=' && joined[last]?.startsWith('--') === true) {
      // Of the value there is nothing yet.
      if (index === words.length - 1) joined.push('');
      continue;
    }
    const isRest = word === ':' || words[index - 1] === ':';
    if (isRest && last >= 0) joined[last] += word;
    else joined.push(word);
  }
  return joined;
}

/** From the project file and the coordinator; nothing where those cannot be asked. */
export function liveSources(global: GlobalOptions): (given: Readonly<Record<string, string>>) => Sources {
  return (given) => {
    const ask = async (
      question: (api: Awaited<ReturnType<typeof openCoordinator>>, signal: AbortSignal) => Promise<string[]>,
    ): Promise<string[]> => {
      return within(patience, { signal: global.signal, late: tooLate }, async (signal) => {
        using api = await openCoordinator({ ...global, ...given, quiet: true, signal });
        return await question(api, signal);
      });
    };
    return {
      app: () => quietly(() => appNames(given['project'])),
      agent: () =>
        quietly(() => ask(async (api, signal) => (await api.agents(signal)).map(({ name }) => name))),
      build: () =>
        quietly(() =>
          ask(async (api, signal) => (await api.builds({ limit: newest }, signal)).map(({ build }) => build)),
        ),
    };
  };
}

function tooLate(): Error {
  return new Error('nobody waits that long for a word');
}

async function appNames(file: string | undefined): Promise<string[]> {
  const projects = await openProjects(file, { cwd: process.cwd(), environment: process.env });
  return (await Promise.all(projects.map((project) => project.buildable()))).flat();
}

/** A line that is not finished yet is no place for errors. */
async function quietly(look: () => Promise<readonly string[]>): Promise<readonly string[]> {
  return look().catch(() => []);
}

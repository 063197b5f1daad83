/** Every command that a README shows is one: those of archfarm by its own grammar, the others by name. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { emptyEnvironment } from '../agent/install.ts';
import { below, errorOf, isOurs, pathOf, programNames, programOf } from './support/command-grammar.ts';
import {
  codeSpans,
  commandBlocks,
  documentAt,
  documents,
  sectionOf,
  type Document,
} from './support/documents.ts';
import { shellCommands, type ShellCommand } from './support/shell-commands.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const all = await documents();

/** What a README may have people start besides. */
const others = new Set(
  'apt cd cp curl install node npm npx openssl sqlite3 systemctl systemd-analyze'.split(' '),
);

const scripts = [
  './.ci/run',
  './scripts/demo',
  './scripts/test',
  ...(await readdir(`${root}/scripts/bench`))
    .filter((name) => !/\./.test(name))
    .map((name) => `./scripts/bench/${name}`),
];
const { scripts: npmScripts } = v.parse(
  v.object({ scripts: v.record(v.string(), v.string()) }),
  JSON.parse(await readFile(`${root}/package.json`, 'utf8')),
);

/** Undefined where it can be started. */
function fault(command: ShellCommand): string | undefined {
  const { program, args } = command;
  if (isOurs(command)) return errorOf(command);
  const [first = '', second = ''] = args;
  if (program === 'npm' && first === 'run' && !Object.hasOwn(npmScripts, second))
    return `npm run has no ${second}`;
  const files =
    scripts.includes(program) || program === 'node'
      ? args.filter((word) => /^(scripts|test)\//.test(word))
      : [];
  for (const file of files) {
    if (!existsSync(`${root}/${file}`)) return `there is no ${file}`;
  }
  if (program === 'node' && first.startsWith('archfarm-agent.js'))
    return errorOf({ program: 'archfarm-agent', args: args.slice(1) });
  return others.has(program) || scripts.includes(program) ? undefined : `nobody knows ${program}`;
}

test('every block of commands is one that a shell and archfarm take', async () => {
  let count = 0;
  for (const { path, text } of all) {
    const commands = await shellCommands(commandBlocks(text).join('\n'), scripts).catch((error: unknown) => {
      throw new Error(`${path}: ${String(error)}`);
    });
    for (const command of commands) assert.is(fault(command), undefined, path);
    count += commands.length;
  }
  assert.ok(count > 60, String(count));
});

test('what those are told who come from other tools are whole commands', async () => {
  const readme = all.find(({ path }) => path === 'README.md');
  assert.ok(readme);
  const shown = codeSpans(sectionOf(readme, '## Coming from elsewhere')).filter((span) =>
    span.startsWith('archfarm '),
  );
  const commands = await shellCommands(shown.join('\n'));
  assert.ok(shown.length > 20, String(shown.length));
  assert.is(commands.length, shown.length);
  for (const command of commands) assert.is(errorOf(command), undefined);
});

const known = programNames.map(programOf).flatMap((program) => [program, ...below(program)]);

/** Those that a span like `archfarm agents drain|rm NAME` is about; throws for words that are none. */
function commandsIn(span: string): {
  readonly commands: readonly Command[];
  readonly flags: readonly string[];
} {
  const [program = '', ...words] = span
    .replaceAll(/[[\]…]/g, ' ')
    .trim()
    .split(/ +/);
  let commands = known.filter((command) => pathOf(command) === program);
  const flags = words.flatMap((word) => word.split('|')).filter((word) => /^--?[a-z][a-z-]*$/.test(word));
  for (const alternatives of words.filter((word) => word !== '|').map((word) => word.split('|'))) {
    const names = alternatives.filter((word) => /^[a-z]/.test(word));
    if (names.length === 0 || commands.every((command) => command.commands.length === 0)) break;
    commands = names.map((name) => {
      const found = known.find(
        (each) => commands.includes(each.parent ?? each) && [each.name(), ...each.aliases()].includes(name),
      );
      if (found === undefined) throw new Error(`${span}: ${program} has no ${name}`);
      return found;
    });
  }
  return { commands, flags };
}

/** With those of the commands above it, and of the `ls` that is meant where nothing else is said. */
function flagsOf(command: Command): string[] {
  const own = [command, ...command.commands.filter((each) => each.name() === 'ls')];
  const flags = own
    .flatMap(({ options }) => options)
    .flatMap(({ short, long }) => [short ?? [], long ?? []].flat());
  return [...flags, ...(command.parent === null ? ['--help'] : flagsOf(command.parent))];
}

test('commands in the middle of a text are there, with the flags that are shown', () => {
  let count = 0;
  for (const { path, text } of all) {
    // Hashes begin with such words; they are no commands.
    const spans = codeSpans(text).filter((span) => /^archfarm(-agent)?(?= |$)(?! [a-z]+ 1$)/.test(span));
    for (const span of spans) {
      const { commands, flags } = commandsIn(span);
      for (const flag of flags)
        assert.ok(
          commands.every((command) => flagsOf(command).includes(flag)),
          `${path}: ${flag} in ${span}`,
        );
    }
    count += spans.length;
  }
  assert.ok(count > 60, String(count));
});

test('the configuration of the agent is all there, each flag beside its variable', async () => {
  const document = await documentAt('agent/README.md');
  const rows = sectionOf(document, '## Configuration').split('\n');
  const run = known.find((command) => pathOf(command) === 'archfarm-agent run');
  for (const { long, description } of run?.options ?? []) {
    const row = rows.find((line) => line.startsWith(`| \`${long} `) || line.startsWith(`| \`${long}\``));
    assert.ok(row, String(long));
    const variable = /\b(?:ARCHFARM|DOCKER)_[A-Z_]+/.exec(description)?.[0] ?? '';
    assert.ok(row.includes(variable), `${long} ${variable}`);
  }
  for (const [, variable = ''] of emptyEnvironment.matchAll(/^# ([A-Z_]+)=/gm))
    assert.ok(
      rows.some((row) => row.includes(`\`${variable}\``)),
      variable,
    );
});

/** As GitHub names headings. */
function anchorsOf({ text }: Document): string[] {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading);
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^a-z0-9 _-]/g, '')
      .replaceAll(' ', '-'),
  );
}

test('links lead to files and headings that are there', async () => {
  for (const { path, text } of all) {
    for (const [link, target = ''] of text.matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
      const [file = '', anchor] = target.split('#');
      const to = join(dirname(path), file);
      assert.ok(existsSync(join(root, to)), `${path}: ${link}`);
      if (anchor === undefined) continue;
      const there = all.find((each) => each.path === (file === '' ? path : to));
      assert.ok(there !== undefined && anchorsOf(there).includes(anchor), `${path}: ${link}`);
    }
  }
});

test.run();

/** What of a build the command that repeats it has to say, beside its name, tags and platforms. */
import type { RepeatFlags } from '../../shared/progress.ts';
import type { Annotations } from '../project/annotations.ts';
import { defaultTimeout, shellCommand } from '../project/image-test.ts';
import { looksSecret } from '../project/secret-arguments.ts';
import type { BuildSpec } from '../project/spec.ts';

type Texts = Readonly<Record<string, string>>;

/** Words of a command line. */
type Words = readonly string[];

/** What is as it is without a flag is left unsaid, though a project file may have said otherwise. */
export function repeatFlags(spec: BuildSpec): RepeatFlags {
  const { dockerfile, args, target } = spec;
  const isOwn = dockerfile.name !== 'Dockerfile' && overrides(spec, 'dockerfile').length === 0;
  return {
    ...(isOwn ? { dockerfile: dockerfile.name } : {}),
    ...(target === undefined || overrides(spec, 'target').length > 0 ? {} : { target }),
    // Values of arguments that look like secrets stay here: the client's environment is to have them.
    args: ofAll(spec, 'args', args).map(([name, value]) => (looksSecret(name) ? name : `${name}=${value}`)),
    flags: Object.values(sayings).flatMap((say) => say(spec)),
    others: othersOf(spec),
  };
}

const nothing = (): Words => [];

/** Every part of a build has its place here, so that none is forgotten. */
const sayings: Readonly<Record<keyof BuildSpec, (spec: BuildSpec) => Words>> = {
  // Said elsewhere.
  name: nothing,
  tags: nothing,
  platforms: nothing,
  dockerfile: nothing,
  target: nothing,
  args: nothing,
  // No flag says it: see `othersOf`.
  context: nothing,
  contexts: nothing,
  extraHosts: nothing,
  perPlatform: nothing,
  optional: ({ optional }) => each('--optional', optional),
  labels: (spec) => each('--label', ofAll(spec, 'labels', spec.labels).map(pair)),
  secrets: ({ secrets }) =>
    each(
      '--secret',
      secrets.map((id) => `id=${id}`),
    ),
  ssh: ({ ssh }) => each('--ssh', ssh),
  network: ({ network }) => value('--network', network),
  noCache: ({ noCache }) => flag('--no-cache', noCache),
  pull: ({ pull }) => flag('--pull', pull),
  cacheFrom: ({ cacheFrom }) => each('--cache-from', cacheFrom),
  inlineCache: ({ inlineCache }) => (inlineCache ? ['--cache-to', 'inline'] : []),
  suffix: ({ suffix }) => value('--suffix', suffix === 'repo' ? undefined : suffix),
  type: ({ type }) => value('--type', type === 'auto' ? undefined : type),
  annotations: ({ annotations }) => each('--annotation', notes(annotations)),
  attestations: ({ attestations }) => value('--attestations', attestations),
  childTags: ({ childTags }) => flag('--child-tags', childTags),
  test: ({ test }) =>
    test === undefined ? [] : [...value('--test', shellText(test.command)), ...trial('--test', test)],
  verify: ({ verify }) => {
    if (verify === undefined) return [];
    const { command } = verify;
    const run = command === undefined ? ['--verify'] : value('--verify-run', shellText(command));
    return [...run, ...trial('--verify', verify)];
  },
  agentLabels: ({ agentLabels }) => each('--agent-label', Object.entries(agentLabels).map(pair)),
  allowEmulation: ({ allowEmulation }) => flag('--allow-emulation', allowEmulation),
  priority: ({ priority }) => value('--priority', priority === 0 ? undefined : String(priority)),
  waitAgent: ({ waitAgent }) => duration('--wait-agent', waitAgent, 15_000),
  timeout: ({ timeout }) => duration('--timeout', timeout, undefined),
  force: ({ force }) => flag('--force', force),
};

/** What only the project file can say, or whoever knows where things are. */
function othersOf(spec: BuildSpec): string[] {
  const { extraHosts, contexts, secrets, test, verify } = spec;
  const differs = Object.values(spec.perPlatform ?? {}).some((own) =>
    Object.values(own).some((part) => part !== undefined && Object.keys(part).length > 0),
  );
  return [
    ...(extraHosts.length > 0 ? ['extra hosts'] : []),
    ...contexts.map(({ name }) => `the context ${name} (--build-context ${name}=DIRECTORY)`),
    ...(differs ? ['what is different on a platform'] : []),
    ...secrets.map((id) => `the source of the secret ${id}`),
    ...(isListed(test?.command) ? ['the test'] : []),
    ...(isListed(verify?.command) ? ['what is run to verify'] : []),
  ];
}

/** Whether it was written as a list. */
function isListed(command: Words | undefined): boolean {
  return command !== undefined && shellText(command) === undefined;
}

/** Flags go before what a file says of one platform: what it says there of the same it has to say of all. */
function ofAll(spec: BuildSpec, key: 'args' | 'labels', texts: Texts): [name: string, value: string][] {
  const own = overrides(spec, key).flatMap((texts) => Object.keys(texts));
  return Object.entries(texts).filter(([name]) => !own.includes(name));
}

type Override = NonNullable<BuildSpec['perPlatform']>[string];

function overrides<Key extends keyof Override>(
  { perPlatform = {} }: BuildSpec,
  key: Key,
): NonNullable<Override[Key]>[] {
  return Object.values(perPlatform)
    .map((own) => own[key])
    .filter((part) => part !== undefined);
}

function each(name: string, values: Words): Words {
  return values.flatMap((one) => [name, one]);
}

function value(name: string, given: string | undefined): Words {
  return given === undefined ? [] : [name, given];
}

function flag(name: string, isGiven: boolean): Words {
  return isGiven ? [name] : [];
}

function pair([name, text]: readonly [name: string, text: string]): string {
  return `${name}=${text}`;
}

function notes({ index, everyPlatform, platforms }: Annotations): string[] {
  return [
    ...notesAt('index', index),
    ...notesAt('manifest-descriptor', everyPlatform),
    ...Object.entries(platforms).flatMap(([platform, texts]) =>
      notesAt(`manifest-descriptor[${platform}]`, texts),
    ),
  ];
}

function notesAt(level: string, texts: Texts): string[] {
  return Object.entries(texts).map((note) => `${level}:${pair(note)}`);
}

/** Of a command that was written as text; undefined for a list, which flags cannot say. */
function shellText(command: Words): string | undefined {
  const [text = ''] = command.slice(-1);
  return JSON.stringify(command) === JSON.stringify(shellCommand(text)) ? text : undefined;
}

function trial(name: string, { timeout, network }: { timeout: number; network: boolean }): Words {
  return [...duration(`${name}-timeout`, timeout, defaultTimeout), ...flag(`${name}-network`, network)];
}

const units = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;

function duration(name: string, milliseconds: number | undefined, usual: number | undefined): Words {
  if (milliseconds === undefined || milliseconds === usual) return [];
  const [unit, length] = units.find(([, long]) => milliseconds % long === 0) ?? ['ms', 1];
  return [name, `${milliseconds / length}${unit}`];
}

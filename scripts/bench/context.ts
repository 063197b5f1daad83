/**
 * How long a build takes, by the size of its context and what is known of it already, against the same engines' own
 * BuildKit with `docker buildx build`, `docker push` and `docker manifest`. Paired, in turns, whole processes.
 */
import { execFile } from 'node:child_process';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { startFarm } from '../rig/farm.ts';
import { scratchDirectory } from '../rig/scratch.ts';
import { Archfarm, Engines, type ContextBuilder } from './context-builders.ts';
import { contextCases, type ContextCase } from './context-cases.ts';
import { ContextFigure } from './context-figure.ts';
import { untilQuiet } from './quiet.ts';

const kinds = ['cold', 'nothing', 'edit', 'clone', 'client'] as const;
type Kind = (typeof kinds)[number];

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    case: { type: 'string', multiple: true, default: contextCases.map(({ name }) => name) },
    kind: { type: 'string', multiple: true, default: [...kinds] },
  },
});
const runs = Number(values.runs);
const chosenCases = choose(contextCases, values.case, ({ name }) => name);
const chosenKinds = choose(kinds, values.kind, (kind) => kind);

console.log(
  'buildx with two nodes is left out: it needs a buildkitd for each, which Debian has no package of',
);
for (const context of chosenCases) await measure(context);

function choose<T>(all: readonly T[], names: readonly string[], nameOf: (item: T) => string): T[] {
  const known = all.map(nameOf);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`${unknown} is none of ${known.join(', ')}`);
  return all.filter((item) => names.includes(nameOf(item)));
}

/** Each case has a farm of its own, since a registry and its engines fill up. */
async function measure(context: ContextCase): Promise<void> {
  await using farm = await startFarm({ registry: { untuned: true } });
  await using scratch = await scratchDirectory('bench');
  const directory = join(scratch.path, 'context');
  await context.make(directory);
  const builders = [new Archfarm(farm, scratch.path), new Engines(farm, scratch.path)];
  for (const kind of chosenKinds) {
    const figure = new ContextFigure(context.name, kind);
    if (kind !== 'cold')
      for (const builder of builders) await builder.build(directory, `known-${builder.name}`);
    for (let run = 1; run <= runs; run++) {
      for (const builder of builders) {
        await prepare(kind, { context, directory, builder });
        const image = `${kind === 'cold' ? `cold-${run}` : 'known'}-${builder.name}`;
        const quiet = await untilQuiet();
        const start = performance.now();
        const facts = await builder.build(directory, image);
        figure.add(builder.name, { milliseconds: performance.now() - start, facts, quiet });
      }
    }
    figure.print();
  }
}

interface Turn {
  readonly context: ContextCase;
  readonly directory: string;
  readonly builder: ContextBuilder;
}

async function prepare(kind: Kind, { context, directory, builder }: Turn): Promise<void> {
  switch (kind) {
    case 'cold':
      return builder.forget();
    case 'nothing':
      return;
    case 'edit':
      return context.edit(directory);
    case 'clone':
      return cloneAnew(directory);
    case 'client':
      await cloneAnew(directory);
      return builder.newClient();
    default:
      return kind satisfies never;
  }
}

/** The same contents under the same names, in new files with new times. */
async function cloneAnew(directory: string): Promise<void> {
  await promisify(execFile)('cp', ['-r', directory, `${directory}-new`]);
  await rm(directory, { recursive: true });
  await rename(`${directory}-new`, directory);
}

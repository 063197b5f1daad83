/**
 * Random contexts, built through archfarm and by `docker buildx build --no-cache` on the same engine: both images hold
 * the same. `ARCHFARM_TEST_SEED=N` repeats the one tree of that seed.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstat, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startFarm } from '../../scripts/rig/farm.ts';
import { archfarm } from '../support/archfarm-command.ts';
import { framesOf, platformOf } from '../support/build-command.ts';
import { buildxImage } from '../support/buildx-build.ts';
import { described, imageTree, type ImageTree } from '../support/engine-image.ts';
import { Random } from '../support/random.ts';
import { plantTree, randomContent, type PlantedTree } from '../support/random-tree.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const run = promisify(execFile);
const one = process.env['ARCHFARM_TEST_SEED'];
const full = process.env['ARCHFARM_TEST_FULL'] === '1';
/** The same trees each time, so that a change is to blame for a failure; all sizes look for new ones. */
const first = Number(one ?? (full ? Date.now() % 1_000_000_000 : 1));
const count = one === undefined ? (full ? 200 : 60) : 1;
/** Trees at a time; engine, agent and coordinator need the rest of a small machine. */
const width = 3;

const farm = await startFarm({
  agents: [{ name: 'a', engine: 'linux/amd64', platforms: ['linux/amd64'], slots: width }],
});
const engine = farm.engines['linux/amd64'];
const directory = await temporaryDirectory();

/** What the agent pushed, which is on its engine still; undefined when the ignore rules were refused. */
async function builtByArchfarm(name: string): Promise<ImageTree | undefined> {
  const tag = ['-t', `${farm.registry}/${name}`, '--platform', 'linux/amd64'];
  const build = await archfarm(['build', '--progress', 'rawjson', ...tag, join(directory.path, name)], {
    env: farm.env,
  });
  if (build.status === 2 && /invalid pattern/.test(build.stderr)) return undefined;
  assert.is(build.status, 0, build.stderr);
  const last = framesOf(build.stderr).at(-1);
  assert.ok(last?.type === 'result', build.stderr);
  const { config } = platformOf(last.result, 'linux/amd64');
  return imageTree(engine, config ?? 'none', 'x');
}

async function builtByBuildx(name: string): Promise<ImageTree | undefined> {
  const root = join(directory.path, name);
  const built = await buildxImage(root, { engine: engine.host, state: join(directory.path, 'buildx') });
  return 'refused' in built ? undefined : withContents(await imageTree(engine, built.image, 'x'), root);
}

/**
 * buildx 0.13 asks its ignore rules once when it lists a file and again, differently, when it reads it: of a name with a
 * backslash that a `!` rule brings back, its image holds an empty file. Such a file is to have the content it has.
 */
async function withContents(tree: ImageTree, root: string): Promise<ImageTree> {
  const entries = [...tree].map(async ([path, entry]) => {
    if (entry.digest !== digestOf(Buffer.alloc(0)) || !path.includes('\\')) return [path, entry] as const;
    return [path, { ...entry, digest: digestOf(await readFile(join(root, path))) }] as const;
  });
  return new Map(await Promise.all(entries));
}

function digestOf(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

function assertSame(ours: ImageTree | undefined, theirs: ImageTree | undefined, what: string): void {
  const [found, wanted] = [ours, theirs].map(
    (tree) => new Set(tree === undefined ? ['refused'] : described(tree)),
  );
  const more = [...(found ?? [])].filter((line) => wanted?.has(line) !== true);
  const less = [...(wanted ?? [])].filter((line) => found?.has(line) !== true);
  const differences = [...more.map((line) => `archfarm: ${line}`), ...less.map((line) => `buildx: ${line}`)];
  if (differences.length > 0) throw new Error(`${what}\n${differences.slice(0, 20).join('\n')}`);
}

/** New content under the old size and time, to the nanosecond. */
async function rewrite(file: string, random: Random): Promise<void> {
  const kept = join(directory.path, `time-of-${random.next()}`);
  const { size } = await lstat(file);
  await run('touch', ['--reference', file, kept]);
  await writeFile(file, randomContent(random, size));
  await run('touch', ['--reference', kept, file]);
  await rm(kept);
}

/** Something else where a file was, or nothing. */
async function replace(file: string, random: Random): Promise<void> {
  await rm(file);
  const kind = random.between(0, 4);
  if (kind === 0) await mkdir(file);
  if (kind === 1) await symlink('instead', file);
  if (kind === 2) await writeFile(file, randomContent(random, 100));
}

async function checkEdited(name: string, planted: PlantedTree, random: Random): Promise<void> {
  const root = join(directory.path, name);
  const files = planted.files.filter((path) => path.length > 0);
  if (files.length === 0) return;
  await rewrite(join(root, random.pick(files)), random);
  if (random.chance(0.5)) await replace(join(root, random.pick(files)), random);
  const ours = await builtByArchfarm(name);
  // A directory of another name is a new one to BuildKit, which would not see the content under the old metadata.
  await rename(root, `${root}-edited`);
  assertSame(ours, await builtByBuildx(`${name}-edited`), 'an edited tree');
  await rename(`${root}-edited`, root);
}

async function check(seed: number): Promise<void> {
  const random = new Random(seed);
  const name = `tree-${seed}`;
  const planted = await plantTree(join(directory.path, name), random);
  const [ours, theirs] = await Promise.all([builtByArchfarm(name), builtByBuildx(name)]);
  assertSame(ours, theirs, 'a new tree');
  if (ours !== undefined && random.chance(0.3)) await checkEdited(name, planted, random);
  await rm(join(directory.path, name), { recursive: true });
}

test(`${count} random trees are in images as BuildKit puts them there`, async () => {
  const failures: string[] = [];
  const seeds = Array.from({ length: count }, (_, index) => first + index).values();
  const work = async (): Promise<void> => {
    for (const seed of seeds) {
      await check(seed).catch((error: unknown) => {
        failures.push(`ARCHFARM_TEST_SEED=${seed}: ${String(error)}`);
      });
    }
  };
  await Promise.all(Array.from({ length: width }, work));
  assert.is(failures.length, 0, failures.slice(0, 5).join('\n'));
});

test('gives everything back', async () => {
  await farm[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

console.log(`seeds ${first} to ${first + count - 1}`);
test.run();

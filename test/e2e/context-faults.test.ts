/** Contexts on links that break, with processes that are killed, on disks that are full or lie. */
import { randomBytes } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startEngine } from '../../scripts/rig/engine.ts';
import { startRegistry } from '../../scripts/rig/registry.ts';
import { Resources } from '../../scripts/rig/resources.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import { startAgentProcess } from '../support/agent-process.ts';
import { platformOf, runBuild, startBuild, type EndedBuild } from '../support/build-command.ts';
import { imageTree } from '../support/engine-image.ts';
import { startFarmProcesses } from '../support/farm-processes.ts';
import { Random } from '../support/random.ts';
import { digest } from '../support/sample-context.ts';
import { slowLink } from '../support/slow-link.ts';
import { fillDisk, smallDisk } from '../support/small-disk.ts';
import { until } from '../support/until.ts';
import { writeFiles } from '../support/write-files.ts';

const mebibyte = 1024 * 1024;
const platform = 'linux/amd64';
/** Waits of agents, coordinator and clients, a fifth as long. */
const timers = { ARCHFARM_TIMERS: '0.2' };
const seed = Number(process.env['ARCHFARM_TEST_SEED'] ?? Date.now() % 1_000_000_000);
const random = new Random(seed);
const cuts = process.env['ARCHFARM_TEST_FULL'] === '1' ? 60 : 8;

const shared = new Resources();
const registry = shared.use(await startRegistry());
const engine = shared.use(await startEngine({ name: 'faults' }));
const directory = shared.use(await scratchDirectory('contexts'));
const farm = shared.use(await startFarmProcesses({ agents: [], coordinatorEnv: timers }));
const toAgent = shared.use(await slowLink(farm.address));
const toClient = shared.use(await slowLink(farm.address));
const agent = shared.use(
  await startAgentProcess(farm, {
    name: 'a',
    platform,
    engine: engine.host,
    coordinator: toAgent.address,
    env: timers,
  }),
);
const env = { ...farm.env, ...timers, ARCHFARM_COORDINATOR: toClient.address };

interface Context {
  readonly path: string;
  readonly bytes: number;
  /** Hexadecimal SHA-256 of each file, by its name. */
  readonly digests: Readonly<Record<string, string>>;
}

const dockerfile = 'FROM scratch\nCOPY files /x/\n';

/** Files with new contents of the sizes given. */
async function context(name: string, sizes: readonly number[]): Promise<Context> {
  const path = join(directory.path, name);
  await writeFiles(path, { Dockerfile: dockerfile, 'files/empty': '' });
  const digests: Record<string, string> = { empty: digest('') };
  for (const [index, size] of sizes.entries()) {
    const content = randomBytes(size);
    await writeFile(join(path, 'files', `file-${index}`), content);
    digests[`file-${index}`] = digest(content);
  }
  return { path, bytes: sizes.reduce((sum, size) => sum + size, dockerfile.length), digests };
}

function options(name: string, { path }: Context): string[] {
  return ['-t', `${registry.host}/${name}`, '--platform', platform, path];
}

/** The end of what it wrote: all of it is many pages. */
function told({ stderr }: EndedBuild): string {
  return stderr.slice(-3000);
}

/** The build was published, and its image holds what the directory does. */
async function assertRight(build: EndedBuild, { digests }: Context): Promise<void> {
  const { status, result } = build;
  assert.is(status, 0, told(build));
  const tree = await imageTree(engine, platformOf(result, platform).config ?? 'none', 'x');
  const found = [...tree].map(([path, { digest: content }]) => [path, content]);
  assert.equal(Object.fromEntries(found), digests);
}

/** Some of each kind: packed, a file of its own, in chunks. */
const fileBytes = 200_000;
const mixed = [
  ...Array.from({ length: 60 }, () => 20_000),
  ...Array.from({ length: 20 }, () => fileBytes),
  12 * mebibyte,
];
/** What a transfer says besides contents, and what was on its way when a process died. */
const underWay = 3 * mebibyte;

test('an agent that is killed in mid-transfer goes on with what it had', async () => {
  const files = await context('agent-killed', mixed);
  const before = toAgent.received;
  toAgent.rate = 6 * mebibyte;
  await using build = startBuild(options('agent-killed', files), { env });
  await until(() => toAgent.received - before > files.bytes / 2, {
    timeout: 60_000,
    what: 'half of it arrives',
  });
  agent.kill('SIGKILL');
  await agent.ended;
  assert.ok(toAgent.received - before < files.bytes, 'killed too late to show anything');
  toAgent.rate = Infinity;
  await agent.restart();
  const ended = await build.ended();
  await assertRight(ended, files);
  const arrived = toAgent.received - before;
  assert.ok(arrived < files.bytes + underWay, `${arrived} bytes for ${files.bytes}`);
  assert.ok(ended.result.context.sentBytes < files.bytes + 100_000, JSON.stringify(ended.result.context));
});

test('a coordinator that is killed in mid-transfer goes on with what it had', async () => {
  const files = await context('coordinator-killed', mixed);
  const before = toClient.sent;
  toClient.rate = 6 * mebibyte;
  await using build = startBuild(options('coordinator-killed', files), { env });
  await until(() => toClient.sent - before > files.bytes / 2, {
    timeout: 60_000,
    what: 'half of it arrives',
  });
  await farm.killCoordinator();
  assert.ok(toClient.sent - before < files.bytes, 'killed too late to show anything');
  toClient.rate = Infinity;
  await farm.startCoordinator();
  const ended = await build.ended();
  await assertRight(ended, files);
  const sent = toClient.sent - before;
  assert.ok(sent < files.bytes + underWay, `${sent} bytes for ${files.bytes}`);
});

test(`links cut at ${cuts} random places cost time only`, async () => {
  for (let cut = 0; cut < cuts; cut++) {
    const files = await context(`cut-${cut}`, [
      ...mixed.slice(0, 30),
      300_000,
      random.chance(0.2) ? 9 * mebibyte : 5,
    ]);
    const link = random.chance(0.5) ? toAgent : toClient;
    link.cutAfter(random.between(1, files.bytes));
    const build = await runBuild(options(`cut-${cut}`, files), { env });
    await assertRight(build, files).catch((error: unknown) => {
      throw new Error(`ARCHFARM_TEST_SEED=${seed}, cut ${cut}: ${String(error)}`);
    });
  }
});

test('a full disk of an agent fails its build by name, and not the next one', async () => {
  await using disk = await smallDisk(8 * mebibyte);
  await using small = await startFarmProcesses({ agents: [], coordinatorEnv: timers });
  await using _agent = await startAgentProcess(small, {
    name: 'a',
    platform,
    engine: engine.host,
    data: disk.path,
    // Else it would take no work in the first place.
    env: { ...timers, ARCHFARM_MIN_FREE: '0' },
  });
  const large = await context(
    'agent-full',
    Array.from({ length: 40 }, () => 500_000),
  );
  const failed = await runBuild(options('agent-full', large), { env: small.env });
  assert.is(failed.status, 3, told(failed));
  const { error } = platformOf(failed.result, platform);
  assert.is(error?.code, 'disk-full', told(failed));
  assert.ok(error?.message.includes(disk.path), error?.message);
  const fine = await context('agent-fine', [20_000, 20_000]);
  await assertRight(await runBuild(options('agent-fine', fine), { env: small.env }), fine);
});

test('a full disk of a coordinator fails a build by name, and not the next one', async () => {
  await using disk = await smallDisk(12 * mebibyte);
  await using small = await startFarmProcesses({
    agents: [{ name: 'a', platforms: [platform], engine: engine.host }],
    coordinatorData: disk.path,
    coordinatorEnv: timers,
  });
  const large = await context(
    'coordinator-full',
    Array.from({ length: 40 }, () => 500_000),
  );
  const failed = await runBuild(options('coordinator-full', large), { env: small.env });
  assert.is(failed.status, 3, told(failed));
  assert.is(failed.result.error?.code, 'disk-full', told(failed));
  assert.ok(failed.stderr.includes(disk.path), told(failed));
  // All but what the failed build has stored.
  await using _full = await fillDisk(disk.path, 0);
  const fine = await context('coordinator-fine', [20_000, 20_000]);
  await assertRight(await runBuild(options('coordinator-fine', fine), { env: small.env }), fine);
});

/** Changes bytes in all packs of a store, in one content that is a file, and in one chunk. */
async function corrupt(data: string): Promise<void> {
  const entries = await readdir(data, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const packs = paths.filter((path) => path.includes('/packs/'));
  const blobs = paths.filter((path) => path.includes('/blob/'));
  const sizes = await Promise.all(blobs.map(async (path) => (await stat(path)).size));
  const whole = blobs.find((_, index) => sizes[index] === fileBytes);
  const chunk = blobs.find((_, index) => sizes[index] !== fileBytes);
  assert.ok(packs.length > 0 && whole !== undefined && chunk !== undefined, blobs.join('\n'));
  for (const path of [...packs, whole, chunk]) {
    const bytes = await readFile(path);
    for (let at = 500; at < bytes.length; at += 9973) bytes[at]! ^= 0xff;
    await writeFile(path, bytes);
  }
}

test('contents that went bad on a disk are fetched again, from whoever has them', async () => {
  await using bad = await startFarmProcesses({
    agents: [{ name: 'a', platforms: [platform], engine: engine.host }],
    coordinatorEnv: timers,
  });
  const files = await context('bad', mixed);
  await assertRight(await runBuild(options('bad-0', files), bad), files);

  await corrupt(join(bad.dir, 'a'));
  // Under another name: the engine has no copy for it yet, and asks for all.
  const fromCoordinator = await runBuild(options('bad-1', files), bad);
  await assertRight(fromCoordinator, files);
  assert.is(fromCoordinator.result.context.sentBytes, 0);

  await corrupt(join(bad.dir, 'a'));
  await corrupt(join(bad.dir, 'coordinator'));
  const fromClient = await runBuild(options('bad-2', files), bad);
  await assertRight(fromClient, files);
  assert.ok(fromClient.result.context.sentBytes > 0);
});

test('gives everything back', async () => {
  await shared[Symbol.asyncDispose]();
});

console.log(`seed ${seed}`);
test.run();

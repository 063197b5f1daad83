/**
 * An agent that shares no code with ours: in Python, it follows the documents of the protocol, and speaks that of today or
 * the one before. Engines are scripted: this is about what agent and coordinator say, and what of a context arrives.
 */
import { execFile } from 'node:child_process';
import { chmod, link, lutimes, rm, symlink, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startRegistry } from '../../scripts/rig/registry.ts';
import { Resources } from '../../scripts/rig/resources.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import { startService, type RunningService } from '../../scripts/rig/service.ts';
import { PROTOCOL_VERSION } from '../../shared/messages.ts';
import { buildImage, platformOf, runBuild } from '../support/build-command.ts';
import { isConnected, startFarmProcesses } from '../support/farm-processes.ts';
import { readPublished } from '../support/published-image.ts';
import { startScriptedEngine } from '../support/scripted-engine.ts';
import { stepOutput } from '../support/step-output.ts';
import { writeFiles } from '../support/write-files.ts';

const run = promisify(execFile);
const independent = fileURLToPath(new URL('../support/independent_agent', import.meta.url));
const resources = new Resources();
const { path: context } = resources.use(await scratchDirectory('context'));
const registry = resources.use(await startRegistry());
const failsOn = 'RUN make';
const amd64 = resources.use(await startScriptedEngine({ architecture: 'amd64', machine: 'x86_64', failsOn }));
const arm64 = resources.use(await startScriptedEngine({ architecture: 'arm64', machine: 'aarch64' }));
const ours = { name: 'ours', platforms: ['linux/arm64'], engine: arm64.host, labels: ['protocol=now'] };
const farm = resources.use(await startFarmProcesses({ agents: [ours] }));
const now = await startIndependent('now', PROTOCOL_VERSION);
const before = await startIndependent('before', PROTOCOL_VERSION - 1);

const large = Buffer.alloc(9 * 1024 * 1024, 'a file above 8 MiB is sent in chunks\n');
await writeFiles(context, { Dockerfile: 'FROM scratch\nCOPY . /\n', empty: '', 'deep/er/é': 'not in ASCII' });
await writeFile(`${context}/large`, large);
await link(`${context}/deep/er/é`, `${context}/hard`);
await chmod(`${context}/large`, 0o4711);
await symlink('nowhere', `${context}/soft`);
for (const name of ['empty', 'soft']) await lutimes(`${context}/${name}`, 1, 1_000_000_000);

async function startIndependent(protocol: string, version: number): Promise<RunningService> {
  const where = ['--coordinator', farm.address, '--engine', amd64.host, '--data', `${farm.dir}/${protocol}`];
  const what = ['--name', protocol, '--platform', 'linux/amd64', '--label', `protocol=${protocol}`];
  const command = ['python3', '-B', independent, ...where, ...what, '--protocol', String(version)];
  const log = `${farm.dir}/${protocol}.log`;
  const ready = (): Promise<boolean> => isConnected(protocol, farm.address);
  return resources.use(await startService(command, { log, env: farm.env, ready }));
}

function flags(name: string, protocol: string, ...more: string[]): string[] {
  const image = ['-t', `${registry.host}/${name}`, '--attestations', 'strip', '--wait-agent', '0s'];
  return [context, ...image, '--agent-label', `protocol=${protocol}`, ...more];
}

async function platformsOf(repository: string): Promise<readonly string[] | undefined> {
  return (await readPublished({ host: registry.host, repository }))?.platforms;
}

/** Types, modes, links and times of what a directory holds, to the nanosecond. */
async function listing(directory: string): Promise<string[]> {
  const { stdout } = await run('find', [directory, '-mindepth', '1', '-printf', '%P %y %m %n %T@ %l\\n']);
  return stdout.split('\n').toSorted();
}

test('an agent that follows the documents builds one platform of an image beside one of ours', async () => {
  const { result } = await buildImage(flags('both', 'now', '--platform', 'linux/amd64,linux/arm64'), farm);
  assert.is(platformOf(result, 'linux/amd64').agent, 'now', await now.logs());
  assert.is(platformOf(result, 'linux/arm64/v8').agent, 'ours');
  assert.equal(await platformsOf('both'), ['linux/amd64', 'linux/arm64/v8']);
  assert.ok(platformOf(result, 'linux/amd64').context.sentBytes > large.length);
});

test('its engine is given the context as the client has it, to modes, links and nanoseconds', async () => {
  await using given = await scratchDirectory('given');
  await writeFile(`${given.path}/context.tar`, amd64.contexts[0] ?? '');
  await run('tar', ['-xpf', 'context.tar', '--exclude', '.docker*'], { cwd: given.path });
  await rm(`${given.path}/context.tar`);
  assert.equal(await listing(given.path), await listing(context));
  await run('diff', ['--recursive', '--no-dereference', given.path, context]);
});

test('it reports a step that fails, with its output, as the fault of the build', async () => {
  await writeFile(`${farm.dir}/make.Dockerfile`, `FROM scratch\n${failsOn}\n`);
  const failing = flags('broken', 'now', '--platform', 'linux/amd64', '-f', `${farm.dir}/make.Dockerfile`);
  const { status, result, frames } = await runBuild(failing, farm);
  assert.is(status, 1);
  assert.is(result.error?.code, 'build-failed');
  assert.match(stepOutput(frames, 'linux/amd64'), 'no rule to make it');
  assert.is(platformOf(result, 'linux/amd64').attempts.length, 1);
});

test('an agent of the protocol before builds and publishes as well', async () => {
  const { result } = await buildImage(flags('older', 'before', '--platform', 'linux/amd64'), farm);
  assert.is(platformOf(result, 'linux/amd64').agent, 'before');
  assert.equal(await platformsOf('older'), ['linux/amd64']);
  assert.match(await before.logs(), `connected by protocol ${PROTOCOL_VERSION - 1}\n`);
});

test('gives everything back', () => resources[Symbol.asyncDispose]());

test.run();

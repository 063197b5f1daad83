/** What users say about agents: which ones may build, which must not, and which platforms a build can do without. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { buildResultSchema } from '../../coordinator/cli/api-answers.ts';
import { startRegistry } from '../../scripts/rig/registry.ts';
import { Resources } from '../../scripts/rig/resources.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import { archfarm, type EndedCommand } from '../support/archfarm-command.ts';
import { startFarmProcesses } from '../support/farm-processes.ts';
import { readPublished } from '../support/published-image.ts';
import { startScriptedEngine } from '../support/scripted-engine.ts';
import { until } from '../support/until.ts';
import { writeFiles } from '../support/write-files.ts';

const resources = new Resources();
const registry = resources.use(await startRegistry());
const amd64 = resources.use(await startScriptedEngine({ architecture: 'amd64', machine: 'x86_64' }));
const arm64 = resources.use(await startScriptedEngine({ architecture: 'arm64', machine: 'aarch64' }));
const farm = resources.use(
  await startFarmProcesses({
    agents: [
      { name: 'rack', platforms: ['linux/amd64'], engine: amd64.host, labels: ['room=lab'] },
      { name: 'pi-01', platforms: ['linux/arm64'], engine: arm64.host, labels: ['room=attic'] },
    ],
  }),
);
const project = resources.use(await scratchDirectory('orders'));
const metadata = `${project.path}/result.json`;
await writeFiles(project.path, {
  Dockerfile: 'FROM scratch\nCOPY . /\n',
  'compose.yaml': `services:
  app:
    image: ${registry.host}/onap/app
    build:
      context: .
      platforms: [linux/amd64, linux/s390x]
    x-archfarm:
      optional: [linux/s390x]
      agent-labels: {room: lab}
      priority: 10
`,
});

function run(...args: string[]): Promise<EndedCommand> {
  return archfarm(args, { env: farm.env, cwd: project.path });
}

/** Attestations aside. */
function build(name: string, ...flags: string[]): Promise<EndedCommand> {
  const tag = `${registry.host}/onap/${name}`;
  const usual = ['--attestations', 'strip', '--wait-agent', '1s', '--progress', 'plain'];
  return run('build', project.path, '-t', tag, ...usual, ...flags);
}

async function stateOf(agent: string): Promise<string> {
  const listed = await run('agents');
  assert.is(listed.status, 0, listed.stderr);
  return listed.stdout.split('\n').find((line) => line.startsWith(`${agent} `)) ?? '';
}

test('a build is published without an optional platform that nobody builds, and exits with 5', async () => {
  const built = await run(
    'build',
    'app',
    '--attestations',
    'strip',
    '--wait-agent',
    '1s',
    '--metadata-file',
    metadata,
  );
  assert.is(built.status, 5, built.stderr);
  assert.match(
    built.stderr,
    /WARNING: published without linux\/s390x, which is optional: no agent for linux\/s390x/,
  );
  const list = await readPublished({ host: registry.host, repository: 'onap/app' });
  assert.is(built.stdout, `${list?.digest}\n`);
  assert.equal(list?.platforms, ['linux/amd64']);
  const [id = ''] = (await run('builds', '--quiet')).stdout.split('\n');
  const shown = await run('show', '--json', id);
  const { status, platforms } = v.parse(buildResultSchema, JSON.parse(shown.stdout));
  assert.is(status, 'succeeded');
  assert.equal(
    platforms.map((task) => [task.platform, task.status, task.optional]),
    [
      ['linux/amd64', 'pushed', false],
      ['linux/s390x', 'skipped', true],
    ],
  );
});

test('labels say which agents may build, and an error names them', async () => {
  const arm = ['--platform', 'linux/arm64'];
  const refused = await build('labelled', ...arm, '--agent-label', 'room=lab');
  assert.is(refused.status, 4, refused.stderr);
  assert.match(
    refused.stderr,
    /no agent for linux\/arm64\/v8 with room=lab; agents: .*pi-01 \(linux\/arm64\/v8, room=attic\)/,
  );
  const built = await build('labelled', ...arm, '--agent-label', 'room=attic');
  assert.is(built.status, 0, built.stderr);
});

test('a drained agent gets no work, also after its coordinator was killed, until it is resumed', async () => {
  const drained = await run('agents', 'drain', 'pi-01');
  assert.is(drained.status, 0, drained.stderr);
  assert.match(await stateOf('pi-01'), /draining: drained by \S+@/);
  await farm.killCoordinator();
  await farm.startCoordinator();
  await until(async () => /draining/.test(await stateOf('pi-01')), {
    what: 'it is back, and drained',
    timeout: 60_000,
  });
  const waiting = await build('drained', '--platform', 'linux/arm64', '--dry-run');
  assert.is(waiting.status, 0, waiting.stderr);
  const resumed = await run('agents', 'resume', 'pi-01');
  assert.is(resumed.status, 0, resumed.stderr);
  const built = await build('drained', '--platform', 'linux/arm64');
  assert.is(built.status, 0, built.stderr);
});

test('an agent can be removed, connected or not, and a wrong name gets the right one shown', async () => {
  const wrong = await run('agents', 'drain', 'pi-1');
  assert.is(wrong.status, 1);
  assert.match(wrong.stderr, /no agent is called "pi-1"\n {2}did you mean pi-01\?/);
  // The coordinator was killed, and knows an agent with the token by its connection alone.
  await until(async () => /ready/.test(await stateOf('rack')), { what: 'it is back', timeout: 60_000 });
  const connected = await run('agents', 'rm', 'rack');
  assert.is(connected.status, 0, connected.stderr);
  assert.is(await farm.agents[0]?.ended, 'exit code 78');
  assert.match((await farm.agents[0]?.output()) ?? '', /refuses this agent for good: agent rack was removed/);
  assert.is(await stateOf('rack'), '');
  farm.agents[1]?.kill('SIGTERM');
  await farm.agents[1]?.ended;
  await until(async () => /offline/.test(await stateOf('pi-01')), { what: 'it is offline' });
  assert.is((await run('agents', 'rm', 'pi-01')).status, 0);
  assert.is(await stateOf('pi-01'), '');
});

test('gives everything back', () => resources[Symbol.asyncDispose]());

test.run();

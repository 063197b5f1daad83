/** Builds that ask for more of an engine than its owner allows, and one that gets it. */
import { writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { busyboxBase } from '../../scripts/rig/base-image.ts';
import { startEngine } from '../../scripts/rig/engine.ts';
import { startRegistry } from '../../scripts/rig/registry.ts';
import { Resources } from '../../scripts/rig/resources.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import { archfarm } from '../support/archfarm-command.ts';
import { buildImage, platformOf, runBuild } from '../support/build-command.ts';
import { startFarmProcesses } from '../support/farm-processes.ts';
import { stepOutput } from '../support/step-output.ts';

const resources = new Resources();
const { path: dir } = resources.use(await scratchDirectory('client'));
const registry = resources.use(await startRegistry());
const engine = resources.use(await startEngine({ name: 'policy-engine' }));
const agent = { platforms: ['linux/amd64'], engine: engine.host };
const farm = resources.use(
  await startFarmProcesses({
    agents: [
      { ...agent, name: 'strict', labels: ['owner=strict'] },
      { ...agent, name: 'open', allow: 'network-host' },
    ],
  }),
);
const base = await busyboxBase();

const listed = v.array(v.object({ name: v.string(), policy: v.array(v.string()) }));

async function flags(name: string, ...lines: string[]): Promise<string[]> {
  await writeFile(`${dir}/${name}`, [...lines, ''].join('\n'));
  return [
    base,
    '-f',
    `${dir}/${name}`,
    '-t',
    `${registry.host}/${name}`,
    '--platform',
    'linux/amd64',
    '--wait-agent',
    '0s',
  ];
}

const from = ['FROM scratch', 'COPY amd64/ /'];

test('a build with the network of its host runs where that is allowed, and the plan says where it is not', async () => {
  const build = [...(await flags('host', ...from, 'RUN busybox ip link')), '--network', 'host'];
  const plan = await archfarm(['build', ...build, '--dry-run'], farm);
  assert.is(plan.status, 0, plan.stderr);
  assert.match(plan.stdout, /linux\/amd64 +open \(strict refuses network-host\)/);
  const { frames, result } = await buildImage(build, farm);
  assert.is(platformOf(result, 'linux/amd64').agent, 'open');
  const names = Object.keys(networkInterfaces()).filter((name) => name !== 'lo');
  assert.ok(names.some((name) => stepOutput(frames, 'linux/amd64').includes(`${name}:`)));
});

test('where nobody allows it the build fails with 2, naming policy, agent and flag, and no attempt was made [D4]', async () => {
  const refused = await runBuild(
    [...(await flags('strict', ...from)), '--network', 'host', '--agent-label', 'owner=strict'],
    farm,
  );
  assert.is(refused.status, 2, refused.stderr);
  assert.is(refused.result.error?.code, 'policy-refused');
  assert.match(refused.result.error?.message ?? '', 'strict refuses network-host');
  assert.match(refused.result.error?.hint ?? '', '--allow network-host on strict');
  assert.equal(platformOf(refused.result, 'linux/amd64').attempts, []);
});

test("a frontend that is not Docker's own is refused by its name before anything is pulled [D3]", async () => {
  for (const build of [
    await flags('syntax', `# syntax=${registry.host}/evil/front:1`, ...from),
    await flags(
      'several',
      '# syntax=docker/dockerfile:1',
      `# syntax=${registry.host}/evil/front:1`,
      `// syntax=${registry.host}/evil/other`,
      ...from,
    ),
    [...(await flags('argument', ...from)), '--build-arg', `BUILDKIT_SYNTAX=${registry.host}/evil/front:1`],
  ]) {
    const refused = await runBuild(build, farm);
    assert.is(refused.status, 2, refused.stderr);
    assert.match(refused.result.error?.message ?? '', `the frontend ${registry.host}/evil/front:1`);
  }
  assert.not.match((await registry.accessLog()).join('\n'), 'evil');
});

test('what a Dockerfile asks for by itself, the engine refuses [D4]', async () => {
  for (const option of ['--network=host', '--security=insecure']) {
    const refused = await runBuild(await flags('entitled', ...from, `RUN ${option} busybox id`), farm);
    assert.is(refused.status, 1, refused.stderr);
    assert.match(refused.result.error?.message ?? '', /network|security/);
  }
});

test('agents and their doctor show what is allowed', async () => {
  const { stdout } = await archfarm(['agents', '--json'], farm);
  const agents = v.parse(listed, JSON.parse(stdout));
  assert.equal(Object.fromEntries(agents.map(({ name, policy }) => [name, policy])), {
    open: ['network-host'],
    strict: [],
  });
});

test('gives everything back', async () => {
  await resources[Symbol.asyncDispose]();
});

test.run();

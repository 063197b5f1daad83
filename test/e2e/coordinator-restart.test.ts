/** A coordinator that is killed in the middle of a build and started again on its data: nobody starts over. */
import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { busyboxBase } from '../../scripts/rig/base-image.ts';
import { startEmulation } from '../../scripts/rig/emulation.ts';
import { startEngine } from '../../scripts/rig/engine.ts';
import { startRegistry, type RunningRegistry } from '../../scripts/rig/registry.ts';
import { Resources } from '../../scripts/rig/resources.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import { archfarm, startArchfarm, type RunningCommand } from '../support/archfarm-command.ts';
import { framesOf, startBuild, type EndedBuild } from '../support/build-command.ts';
import { startFarmProcesses, type FarmProcesses } from '../support/farm-processes.ts';
import { readPublished } from '../support/published-image.ts';
import { stepOutput } from '../support/step-output.ts';
import { until } from '../support/until.ts';

const platforms = ['linux/amd64', 'linux/arm64/v8'];
const ticks = 25;
const countsTo = `for i in $(seq ${ticks}); do echo tick-$i.; sleep 0.2; done`;

interface Setting extends AsyncDisposable {
  readonly farm: FarmProcesses;
  readonly dir: string;
  readonly registry: RunningRegistry;
}

async function setUp(): Promise<Setting> {
  await using started = new Resources();
  const { path: dir } = started.use(await scratchDirectory('client'));
  started.use(await startEmulation());
  const registry = started.use(await startRegistry());
  const { host: engine } = started.use(await startEngine({ name: 'restart-engine' }));
  const agents = [
    { name: 'a', platforms: ['linux/amd64'], engine },
    { name: 'b', platforms: ['linux/arm64'], engine },
  ];
  const farm = started.use(await startFarmProcesses({ agents }));
  const resources = started.move();
  return { farm, dir, registry, [Symbol.asyncDispose]: () => resources[Symbol.asyncDispose]() };
}

const setting = await setUp();
const { farm, dir, registry } = setting;

interface Restarted {
  readonly name: string;
  readonly steps: readonly string[];
  readonly flags?: readonly string[];
  readonly beforeKill?: (build: string) => Promise<void>;
}

/** A build during whose first ticks the coordinator is killed, and is started again. */
async function buildThroughRestart({
  name,
  steps,
  flags = [],
  beforeKill = async () => {},
}: Restarted): Promise<EndedBuild> {
  const dockerfile = ['FROM scratch', 'ARG TARGETARCH', 'COPY ${TARGETARCH}/ /', ...steps, ''];
  await writeFile(`${dir}/${name}.dockerfile`, dockerfile.join('\n'));
  const image = ['-f', `${dir}/${name}.dockerfile`, '-t', `${registry.host}/${name}`];
  const both = ['--platform', platforms.join(','), '--allow-emulation'];
  await using build = startBuild([await busyboxBase(), ...image, ...both, ...flags], farm);
  await build.logged('tick-2.', platforms);
  await beforeKill(await build.id());
  await farm.killCoordinator();
  const ended = build.frames().some((frame) => frame.type === 'log' && frame.text.includes(`tick-${ticks}.`));
  assert.not.ok(ended, 'killed too late to show anything');
  await farm.startCoordinator();
  return await build.ended();
}

test('client and agents come back, attempts go on, and the build is published once', async () => {
  const { status, stdout, stderr, frames, result } = await buildThroughRestart({
    name: 'app',
    steps: [`RUN ${countsTo}`],
  });
  assert.is(status, 0, stderr);
  const list = await readPublished({ host: registry.host, repository: 'app' });
  assert.is(stdout, `${list?.digest}\n`);
  assert.equal(list?.platforms, platforms);
  const puts = (await registry.accessLog()).filter((line) => line.includes('"PUT /v2/app/manifests/latest'));
  assert.is(puts.length, 1, puts.join('\n'));

  assert.equal(
    result.platforms.map(({ platform, agent, attempts }) => ({ platform, agent, attempts })),
    [
      { platform: 'linux/amd64', agent: 'a', attempts: [{ agent: 'a', outcome: 'pushed' }] },
      { platform: 'linux/arm64/v8', agent: 'b', attempts: [{ agent: 'b', outcome: 'pushed' }] },
    ],
  );
  const all = Array.from({ length: ticks }, (_, index) => `tick-${index + 1}.`);
  for (const platform of platforms) {
    const output = stepOutput(frames, platform);
    assert.equal(
      all.filter((tick) => !output.includes(tick)),
      [],
      `${platform} lost output`,
    );
  }
});

test('what followers saw has neither gap nor repeat, and is what is read again later', async () => {
  let attached: RunningCommand | undefined;
  const { frames } = await buildThroughRestart({
    name: 'numbered',
    steps: [`RUN ${countsTo}; true`],
    async beforeKill(build) {
      const command = startArchfarm(['attach', build, '--after', '3', '--progress', 'rawjson'], farm);
      attached = command;
      await until(() => framesOf(command.stderr).length > 0, { what: 'the second follower has begun' });
    },
  });
  assert.equal(
    frames.map(({ seq }) => seq),
    frames.map((_, index) => index + 1),
  );
  const later = await archfarm(['logs', frames[0]?.build ?? '', '--json'], farm);
  assert.is(later.status, 0, later.stderr);
  assert.equal(framesOf(later.stdout), frames);
  const end = await attached?.ended;
  assert.is(end?.status, 0, end?.stderr);
  assert.equal(framesOf(end?.stderr ?? ''), frames.slice(3));
});

test('the client that follows gives its secrets again to a step that asks after the restart', async () => {
  const secret = randomBytes(12).toString('hex');
  await writeFile(`${dir}/secret`, secret);
  const { status, stderr, frames } = await buildThroughRestart({
    name: 'secretive',
    steps: [
      `RUN ${countsTo}; true; true`,
      'RUN --mount=type=secret,id=late busybox sha256sum /run/secrets/late',
    ],
    flags: ['--secret', `id=late,src=${dir}/secret`],
  });
  assert.is(status, 0, stderr);
  for (const platform of platforms) {
    assert.match(stepOutput(frames, platform), createHash('sha256').update(secret).digest('hex'));
  }
});

test('coordinator and agents end when they are told to', async () => {
  await setting[Symbol.asyncDispose]();
  for (const { ended } of [farm.coordinator, ...farm.agents]) assert.is(await ended, 'exit code 0');
});

test.run();

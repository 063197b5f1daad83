/** Farms that lack an agent, have one twice, one that claims too much, or very many that come at once. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WebSocket } from 'ws';
import { newSeen, ScaleAgent } from '../../scripts/bench/scale-agent.ts';
import { startDaemon } from '../../scripts/rig/daemon.ts';
import { platformOf } from '../support/build-command.ts';
import { agentState } from '../support/chaos-builds.ts';
import { amd64, arm64, startLab } from '../support/chaos-lab.ts';
import { agentCommand } from '../support/farm-processes.ts';
import { sampleHello } from '../support/sample-messages.ts';
import { until } from '../support/until.ts';
import { closeOf } from '../support/web-sockets.ts';
import { rowsOf } from './row.ts';

const lab = await startLab({
  emulated: true,
  sharing: { b: 'a' },
  platforms: { a: 'linux/amd64', b: 'linux/arm64' },
});
const row = rowsOf(lab);
const { gate, farm } = lab;

row(
  'F8: without an agent for a platform a build waits as long as it was told, and publishes nothing',
  async (name) => {
    const { service } = lab.agent('b');
    service.kill('SIGKILL');
    await until(async () => (await agentState(lab, 'b')) !== 'ready', { what: 'b is not ready' });
    const order = await lab.order(name, { platforms: [amd64, arm64] });
    await using build = lab.start(order, ['--wait-agent', '8s']);
    const { status, stderr, result } = await build.ended();
    await service.restart();
    assert.is(status, 4, stderr);
    assert.match(stderr, 'linux/arm64/v8');
    // What the others did is not lost: a retry takes it over.
    assert.is(platformOf(result, amd64).status, 'pushed');
  },
);

row('F9: of two agents of one name the first stays as long as it lives, however many come', async (name) => {
  const order = await lab.order(name, { hold: true });
  await using build = lab.start(order);
  await gate.arrived(order.nonce);
  const rival = (index: number): ReturnType<typeof closeOf> => {
    const socket = new WebSocket(`ws://${farm.address}/v1/agent`, { perMessageDeflate: false });
    socket.once('open', () =>
      socket.send(JSON.stringify(sampleHello({ name: 'a', session: `rival-of-a-${index}` }))),
    );
    return closeOf(socket);
  };
  // Of more at once, a busy machine sends some hellos too late for timers that are ten times faster.
  for (let index = 0; index < 200; index += 10) {
    const rivals = Array.from({ length: 10 }, (_, more) => rival(index + more));
    for (const { code } of await Promise.all(rivals)) assert.is(code, 4409);
  }
  assert.is(await agentState(lab, 'a'), 'ready');
  gate.open(order.nonce);
  const { status, stderr, result } = await build.ended();
  assert.is(status, 0, stderr);
  assert.is(platformOf(result, amd64).attempts.length, 1);
  const log = await farm.coordinator.output();
  assert.ok(
    log.includes('4409') || /name.*(taken|in use|another)|duplicate/i.test(log),
    'nobody wrote it down',
  );
});

row('F10: an agent that claims a platform that its host has not does not start', async () => {
  const flags = ['--coordinator', farm.address, '--name', 'liar', '--platform', 'windows/amd64'];
  const log = `${lab.dir}/liar.log`;
  const liar = startDaemon([process.execPath, agentCommand, 'run', ...flags, '--data', `${lab.dir}/liar`], {
    log,
    env: { ...farm.env, DOCKER_HOST: lab.agent('a').engine.host },
    ready: () => Promise.resolve(false),
  });
  const error = await liar.then(
    () => undefined,
    (thrown: unknown) => String(thrown),
  );
  assert.match(error ?? '', 'exit code 2');
  assert.match(error ?? '', 'cannot build windows/amd64');
  assert.is(await agentState(lab, 'liar'), undefined);
});

row('F36: after a restart all of many agents are back in time, and what runs goes on', async (name) => {
  const order = await lab.order(name, { platforms: [amd64, arm64], hold: true });
  await using build = lab.start(order);
  await gate.arrived(order.nonce, 'amd64');
  await gate.arrived(order.nonce, 'arm64');
  const count = process.env['ARCHFARM_TEST_FULL'] === '1' ? 1_000 : 300;
  // Of a kind that nobody asks for, so that they take no work from the others.
  const of = { coordinator: new URL(`http://${farm.address}`), platform: 'linux/riscv64', seen: newSeen() };
  const crowd = Array.from({ length: count }, (_, n) => new ScaleAgent({ ...of, name: `crowd-${n}` }));
  const are = async (connected: boolean): Promise<void> => {
    const check = (): boolean => crowd.every((agent) => agent.connected === connected);
    await until(check, { timeout: 45_000, what: `connected: ${connected}` });
  };
  try {
    await are(true);
    await farm.killCoordinator();
    await are(false);
    await farm.startCoordinator();
    const from = performance.now();
    await are(true);
    console.log(`F36: ${count} agents were back after ${Math.round(performance.now() - from)} ms`);
  } finally {
    for (const agent of crowd) agent.close();
  }
  gate.open(order.nonce);
  const { status, stderr, result } = await build.ended();
  assert.is(status, 0, stderr);
  for (const { platform, attempts } of result.platforms) assert.is(attempts.length, 1, platform);
  assert.is(gate.runs(order.nonce), 2, 'a step ran again');
});

test('gives everything back', async () => {
  await lab[Symbol.asyncDispose]();
});

test.run();

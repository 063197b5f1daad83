/** Engines that are killed, hang, vanish or lose what was built, while another is there. */
import { execFile } from 'node:child_process';
import { chmod, chown, rename } from 'node:fs/promises';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { platformOf } from '../support/build-command.ts';
import { agentOf, agentReason, agentState, attemptsOf, other } from '../support/chaos-builds.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import { startService, type RunningService } from '../../scripts/rig/service.ts';
import { amd64, startLab } from '../support/chaos-lab.ts';
import { agentCommand } from '../support/farm-processes.ts';
import { startScriptedEngine } from '../support/scripted-engine.ts';
import { stepProcesses } from '../support/step-processes.ts';
import { until } from '../support/until.ts';
import { rowsOf } from './row.ts';

const run = promisify(execFile);
const lab = await startLab();
const row = rowsOf(lab);
const { gate } = lab;
const patience = { timeout: 120_000 };
const nobody = 65534;

/** The engine is back, and its agent has seen it. */
async function isReady(name: string): Promise<void> {
  const ready = async (): Promise<boolean> => (await agentState(lab, name)) === 'ready';
  await until(ready, { ...patience, what: `agent ${name} is ready` });
}

row('F12: an engine that is killed in the middle of a step loses its work at once', async (name) => {
  const order = await lab.order(name, { hold: true });
  await using build = lab.start(order);
  await gate.arrived(order.nonce);
  const victim = await agentOf(build, amd64);
  const { engine } = lab.agent(victim);
  await engine.kill('SIGKILL');
  await gate.arrived(order.nonce, 'amd64', 2);
  gate.open(order.nonce);
  const { status, stderr, result } = await build.ended();
  assert.is(status, 0, stderr);
  assert.equal(attemptsOf(result, amd64), [`${victim} failed`, `${other(victim)} pushed`]);
  assert.is(platformOf(result, amd64).attempts[0]?.error?.code, 'engine-down');
  await engine.restart();
  const isGone = async (): Promise<boolean> => (await stepProcesses(engine, order.nonce)).length === 0;
  await until(isGone, { ...patience, every: 100, what: 'the step of the killed engine is gone' });
  await isReady(victim);
});

row('F13: an engine that hangs is noticed, gets no work, and its work goes elsewhere', async (name) => {
  const order = await lab.order(name, { hold: true });
  await using build = lab.start(order);
  await gate.arrived(order.nonce);
  const victim = await agentOf(build, amd64);
  const { engine } = lab.agent(victim);
  await engine.kill('SIGSTOP');
  await until(async () => (await agentState(lab, victim)) === 'cordoned', { ...patience, what: 'a cordon' });
  assert.ok(await agentReason(lab, victim));
  await gate.arrived(order.nonce, 'amd64', 2);
  gate.open(order.nonce);
  const { status, stderr, result } = await build.ended();
  await engine.kill('SIGCONT');
  assert.is(status, 0, stderr);
  assert.is(platformOf(result, amd64).agent, other(victim));
  await isReady(victim);
});

row('F14: an engine that is restarted in the middle of a step finishes it, or another does', async (name) => {
  const order = await lab.order(name, { hold: true });
  await using build = lab.start(order);
  await gate.arrived(order.nonce);
  const victim = await agentOf(build, amd64);
  const { engine } = lab.agent(victim);
  const ended = engine.kill('SIGTERM');
  gate.open(order.nonce);
  await ended;
  await engine.restart();
  const { status, stderr } = await build.ended();
  assert.is(status, 0, stderr);
  await isReady(victim);
});

row('F15: without its engine’s socket an agent stays, takes no work and says why', async (name) => {
  const { engine } = lab.agent('a');
  const socket = engine.host.replace('unix://', '');
  await rename(socket, `${socket}.away`);
  try {
    await until(async () => (await agentState(lab, 'a')) === 'cordoned', { ...patience, what: 'a cordon' });
    assert.match((await agentReason(lab, 'a')) ?? '', 'docker.sock');
    const order = await lab.order(name);
    await using build = lab.start(order);
    const { status, stderr, result } = await build.ended();
    assert.is(status, 0, stderr);
    assert.equal(attemptsOf(result, amd64), ['b pushed']);
  } finally {
    await rename(`${socket}.away`, socket);
  }
  await isReady('a');
});

/** Beside the agents of the farm, for one row: it is there, and takes no work. */
function cordonedAgent(
  name: string,
  options: { as?: number; data: string; engine: string },
): Promise<RunningService> {
  const { as: user, data, engine } = options;
  const who =
    user === undefined ? [] : ['setpriv', '--reuid', `${user}`, '--regid', `${user}`, '--clear-groups'];
  const flags = ['--coordinator', lab.farm.address, '--name', name, '--platform', amd64, '--data', data];
  return startService([...who, process.execPath, agentCommand, 'run', ...flags], {
    log: `${lab.dir}/${name}.log`,
    env: { ...lab.farm.env, ARCHFARM_TIMERS: '0.1', DOCKER_HOST: engine },
    ready: async () => (await agentState(lab, name)) === 'cordoned',
  });
}

row('F15b: an agent that may not open its engine’s socket says so, and works once it may', async () => {
  await using own = await scratchDirectory('unprivileged');
  await chown(own.path, nobody, nobody);
  const { dir, host } = lab.agent('a').engine;
  const data = `${own.path}/data`;
  await using _agent = await cordonedAgent('outsider', { as: nobody, data, engine: host });
  assert.match((await agentReason(lab, 'outsider')) ?? '', /EACCES.*docker\.sock/);
  await chmod(dir, 0o711);
  await chmod(host.replace('unix://', ''), 0o666);
  await isReady('outsider');
});

row('F15c: an agent whose engine is too old says which it needs, and works once it has that', async () => {
  await using own = await scratchDirectory('old-engine');
  let apiVersion = '1.38';
  await using engine = await startScriptedEngine({
    architecture: 'amd64',
    machine: 'x86_64',
    apiVersion: () => apiVersion,
  });
  await using _agent = await cordonedAgent('elder', { data: `${own.path}/data`, engine: engine.host });
  assert.match((await agentReason(lab, 'elder')) ?? '', /no BuildKit.*1\.38/);
  apiVersion = '1.52';
  await isReady('elder');
});

row(
  'F16: a step whose container is killed is an error of the build, and nobody tries it again',
  async (name) => {
    const order = await lab.order(name, { hold: true });
    await using build = lab.start(order);
    await gate.arrived(order.nonce);
    const { engine } = lab.agent(await agentOf(build, amd64));
    for (const pid of await stepProcesses(engine, order.nonce)) process.kill(pid, 'SIGKILL');
    const { status, stderr, result } = await build.ended();
    assert.is(status, 1, stderr);
    assert.is(platformOf(result, amd64).attempts.length, 1);
    assert.match(platformOf(result, amd64).error?.message ?? '', '137');
  },
);

row('F19: an image that is removed between its build and its push is made again', async (name) => {
  const order = await lab.order(name, { padding: 100 });
  let removed: Promise<unknown> | undefined;
  lab.disturb(async (request) => {
    const isPush = request.url?.includes(`/${name}-amd64/blobs/`) === true;
    if (!isPush || removed !== undefined) return false;
    removed = Promise.all(
      lab.engines.map(async ({ host }) => {
        const name = `${lab.host}/${order.repository}-amd64:latest`;
        await run('docker', ['-H', host, 'rmi', '-f', name]).catch(() => undefined);
      }),
    );
    await removed;
    return false;
  });
  await using build = lab.start(order);
  const { status, stderr } = await build.ended();
  assert.ok(removed, 'nothing was removed');
  assert.is(status, 0, stderr);
});

test('gives everything back', async () => {
  await lab[Symbol.asyncDispose]();
});

test.run();

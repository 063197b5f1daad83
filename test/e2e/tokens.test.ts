/** Who may speak to a coordinator: whoever has its token, and no page of a browser. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { WebSocket } from 'ws';
import { startDaemon, type Daemon } from '../../scripts/rig/daemon.ts';
import { archfarmCommand } from '../../scripts/rig/farm.ts';
import { currentVersion, startFakeEngine } from '../agent/engine/fake-engine.ts';
import { archfarm } from '../support/archfarm-command.ts';
import { agentCommand, isolatedEnv, isServed } from '../support/farm-processes.ts';
import { freePort } from '../../scripts/rig/free-port.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const engineAnswers = {
  ...currentVersion,
  'GET /info': JSON.stringify({ OSType: 'linux', Architecture: 'x86_64', DriverStatus: [] }),
};

const statusSchema = v.object({ connected: v.boolean(), error: v.string() });
type AgentStatus = v.InferOutput<typeof statusSchema>;

const run = promisify(execFile);

/** Reachable from everywhere, so it must have a token. */
async function startCoordinator(dir: string, options: { port: number; token: string }): Promise<Daemon> {
  const { port, token } = options;
  const serve = ['serve', '--insecure-listen', '--listen', `0.0.0.0:${port}`, '--data', `${dir}/data`];
  return startDaemon([process.execPath, archfarmCommand, ...serve], {
    log: `${dir}/coordinator.log`,
    env: { ...(await isolatedEnv(dir)), ARCHFARM_TOKEN: token },
    ready: () => isServed(`127.0.0.1:${port}`),
  });
}

/** What `archfarm-agent status` says; undefined before the agent is there. */
async function agentStatus(data: string): Promise<AgentStatus | undefined> {
  const asked = run(process.execPath, [agentCommand, 'status', '--json', '--data', data]);
  const stdout = await asked.then(
    (ended) => ended.stdout,
    // It exits with 3 while the agent is not connected.
    (error: unknown) => (error instanceof Error && 'stdout' in error ? String(error.stdout) : ''),
  );
  return stdout === '' ? undefined : v.parse(statusSchema, JSON.parse(stdout));
}

test('beyond loopback a coordinator without a token does not start', async () => {
  await using dir = await temporaryDirectory();
  const env = await isolatedEnv(dir.path);
  for (const host of ['0.0.0.0', '[::]']) {
    const listen = ['--listen', `${host}:${await freePort()}`, '--data', `${dir.path}/data`];
    const { status, stderr } = await archfarm(['serve', ...listen], { env });
    assert.is(status, 2, stderr);
    assert.match(stderr, /refusing to listen on \S+ without a token\n.*ARCHFARM_TOKEN/);
  }
});

test('a client with a wrong token, or with none, is exit 2', async () => {
  await using dir = await temporaryDirectory();
  const port = await freePort();
  await using _coordinator = await startCoordinator(dir.path, { port, token: 'right' });
  const env = { ...(await isolatedEnv(dir.path)), ARCHFARM_COORDINATOR: `127.0.0.1:${port}` };
  for (const token of [undefined, 'wrong', 'right-but-longer', 'righ']) {
    const { status, stdout, stderr } = await archfarm(['agents'], { env: { ...env, ARCHFARM_TOKEN: token } });
    assert.is(status, 2, stderr);
    assert.is(stdout, '');
    assert.match(stderr, /token/);
    if (token === 'wrong') assert.not.match(stderr, /right/);
  }
  await writeFile(`${dir.path}/token`, 'right\n');
  const byFile = await archfarm(['agents', '--json', '--token-file', `${dir.path}/token`], { env });
  assert.equal(byFile, { status: 0, stdout: '[]\n', stderr: '' });
});

test('an agent with a wrong token says why it is not connected, and is let in once the token is right', async () => {
  await using dir = await temporaryDirectory();
  await using engine = await startFakeEngine(engineAnswers);
  const env = await isolatedEnv(dir.path);
  const port = await freePort();
  const data = `${dir.path}/agent`;
  await using other = await startCoordinator(dir.path, { port, token: 'other' });
  const flags = ['--coordinator', `127.0.0.1:${port}`, '--name', 'a', '--data', data];
  await using agent = await startDaemon([process.execPath, agentCommand, 'run', ...flags], {
    log: `${dir.path}/agent.log`,
    env: { ...env, ARCHFARM_TOKEN: 'right', ARCHFARM_TIMERS: '0.2', DOCKER_HOST: engine.host },
    ready: async () => ((await agentStatus(data))?.error ?? '') !== '',
  });
  const refused = await agentStatus(data);
  assert.is(refused?.connected, false);
  assert.match(refused?.error ?? '', /refuses this agent \(HTTP 401\): the coordinator refuses this token/);

  await other[Symbol.asyncDispose]();
  await using _right = await startCoordinator(dir.path, { port, token: 'right' });
  await until(async () => (await agentStatus(data))?.connected === true, { timeout: 30_000 });
  const { stdout } = await archfarm(['agents', '--quiet'], {
    env: { ...env, ARCHFARM_COORDINATOR: `127.0.0.1:${port}`, ARCHFARM_TOKEN: 'right' },
  });
  assert.is(stdout, 'a\n');
  // Refusals do not fill its log.
  assert.ok((await agent.output()).split('refuses this agent').length <= 3);
});

test('what a page in a browser asks is refused, with the right token and with none', async () => {
  await using dir = await temporaryDirectory();
  const port = await freePort();
  await using _coordinator = await startCoordinator(dir.path, { port, token: 'right' });
  const origin = 'http://127.0.0.1:8080';
  for (const authorization of ['Bearer right', 'Bearer wrong', undefined]) {
    const headers = { origin, ...(authorization === undefined ? {} : { authorization }) };
    const answer = await fetch(`http://127.0.0.1:${port}/v1/agents`, { headers });
    assert.is(answer.status, 403, `${authorization}: ${await answer.text()}`);
    for (const path of ['/v1/agent', '/v1/client/context']) {
      const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers });
      const [error]: unknown[] = await once(socket, 'error');
      assert.match(String(error), 'Unexpected server response: 403');
    }
  }
  const answer = await fetch(`http://127.0.0.1:${port}/v1/agents`, {
    headers: { authorization: 'Bearer right' },
  });
  assert.is(answer.status, 200);
});

test.run();

import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { ContextUpload } from '../../../coordinator/cli/context-upload.ts';
import { storeUsageSchema, type StoreUsage } from '../../../shared/context/store-usage.ts';
import { closeCodes, PROTOCOL_VERSION, SERVED_VERSIONS } from '../../../shared/messages.ts';
import { sampleSpec } from '../../support/farm-fixtures.ts';
import { dir, memoryTree } from '../../support/memory-tree.ts';
import { runningCoordinator, testToken, type RunningCoordinator } from '../../support/running-coordinator.ts';
import { sampleDigest, sampleHello } from '../../support/sample-messages.ts';
import { until } from '../../support/until.ts';
import { closeOf } from '../../support/web-sockets.ts';

const tree = memoryTree(dir(['Dockerfile', 'FROM scratch\n']));
const platform = 'linux/arm64/v8';
const agentsAnswer = v.object({
  agents: v.array(
    v.object({
      name: v.string(),
      state: v.string(),
      busy: v.number(),
      reason: v.optional(v.string()),
      contexts: v.optional(storeUsageSchema),
    }),
  ),
});
const storeAnswer = v.object({ contexts: storeUsageSchema });
const buildAnswer = v.object({ build: v.string() });
const resultAnswer = v.object({
  status: v.string(),
  platforms: v.array(
    v.object({ status: v.string(), attempts: v.array(v.object({ outcome: v.optional(v.string()) })) }),
  ),
});

async function agentsOf(running: RunningCoordinator): Promise<v.InferOutput<typeof agentsAnswer>['agents']> {
  return v.parse(agentsAnswer, (await running.ask('/v1/agents')).body).agents;
}

async function storeOf(running: RunningCoordinator): Promise<StoreUsage> {
  return v.parse(storeAnswer, (await running.ask('/v1/store')).body).contexts;
}

async function resultOf(
  running: RunningCoordinator,
  build: string,
): Promise<v.InferOutput<typeof resultAnswer>> {
  return v.parse(resultAnswer, (await running.ask(`/v1/builds/${build}`)).body);
}

async function stateOf(running: RunningCoordinator, name: string): Promise<string | undefined> {
  return (await agentsOf(running)).find((agent) => agent.name === name)?.state;
}

/** Submits a build for arm64 and gives its id. */
async function submit(
  running: RunningCoordinator,
  secrets: Readonly<Record<string, string>> = {},
): Promise<string> {
  const link = randomBytes(12).toString('base64url');
  const upload = new ContextUpload({ coordinator: running.url, token: testToken, link, source: tree });
  try {
    const spec = sampleSpec({
      platforms: [platform],
      context: { root: tree.root, name: 'c', files: 1, bytes: 1 },
      dockerfile: { root: tree.root, name: 'Dockerfile' },
      secrets: Object.keys(secrets),
    });
    const answer = await running.ask('/v1/builds', {
      method: 'POST',
      body: { spec, secrets, link },
    });
    assert.is(answer.status, 201, JSON.stringify(answer.body));
    return v.parse(buildAnswer, answer.body).build;
  } finally {
    await upload.close();
  }
}

async function logOf(running: RunningCoordinator, build: string): Promise<string> {
  return String((await running.ask(`/v1/builds/${build}/events`)).body);
}

test('a hello is answered with the protocol’s numbers, and the agent is listed', async () => {
  await using running = await runningCoordinator();
  const agent = await running.agent();
  const welcome = await agent.wait('welcome');
  assert.equal([welcome.protocol, welcome.heartbeat, welcome.lost], [PROTOCOL_VERSION, 10_000, 45_000]);
  await until(async () => (await stateOf(running, 'pi-01')) === 'ready');
  agent.send({ type: 'beat', state: 'cordoned', reason: 'the engine is down' });
  await agent.wait('beat');
  await until(async () => (await stateOf(running, 'pi-01')) === 'cordoned');
  agent.socket.close();
  await until(async () => (await stateOf(running, 'pi-01')) === 'offline');
});

test('stores tell how large they are: each agent’s with its beats, the coordinator’s own when asked', async () => {
  await using running = await runningCoordinator();
  const agent = await running.agent();
  await until(async () => (await stateOf(running, 'pi-01')) === 'ready');
  assert.is((await agentsOf(running))[0]?.contexts, undefined, 'an older agent does not tell');
  const contexts = { bytes: 10, maxBytes: 100, hits: 1, hitBytes: 2, misses: 3, missBytes: 4 };
  agent.send({ type: 'beat', state: 'ready', contexts });
  await until(async () => (await agentsOf(running))[0]?.contexts !== undefined);
  assert.equal((await agentsOf(running))[0]?.contexts, contexts);
  const before = await storeOf(running);
  assert.equal(
    { ...before, maxBytes: 0 },
    { bytes: 0, maxBytes: 0, hits: 0, hitBytes: 0, misses: 0, missBytes: 0 },
  );
  await submit(running);
  const after = await until(async () => {
    const usage = await storeOf(running);
    return usage.misses > 0 && usage;
  });
  assert.ok(after.missBytes > 0 && after.bytes > 0, JSON.stringify(after));
});

test('a hello of another protocol version is refused with both versions named, however it looks [B8]', async () => {
  await using running = await runningCoordinator();
  const hellos = [
    sampleHello({ protocol: PROTOCOL_VERSION + 1 }),
    { type: 'hello', protocol: PROTOCOL_VERSION + 7, fromTheFuture: true },
    { ...sampleHello({ protocol: 0 }), extra: 1 },
  ];
  for (const hello of hellos) {
    const socket = await running.connect('/v1/agent');
    const closed = closeOf(socket);
    socket.send(JSON.stringify(hello));
    const { code, reason } = await closed;
    assert.is(code, closeCodes.version);
    assert.match(
      reason,
      new RegExp(`protocol ${hello.protocol}, .* speaks ${SERVED_VERSIONS.join(' and ')}$`),
    );
  }
  assert.equal(await agentsOf(running), []);
});

test('what comes before a hello, a second hello, and silence close the connection [B9]', async () => {
  await using running = await runningCoordinator({ hello: 1000 });
  const early = await running.connect('/v1/agent');
  const closedEarly = closeOf(early);
  early.send('{"type":"beat","state":"ready"}');
  assert.equal(await closedEarly, { code: closeCodes.malformed, reason: 'beat before hello' });
  const twice = await running.agent();
  const closedTwice = closeOf(twice.socket);
  twice.send(sampleHello());
  assert.equal(await closedTwice, { code: closeCodes.malformed, reason: 'a second hello' });
  const silent = await running.connect('/v1/agent');
  assert.equal(await closeOf(silent), { code: closeCodes.malformed, reason: 'no hello' });
});

test('a malformed frame closes that connection, and other agents go on', async () => {
  await using running = await runningCoordinator();
  const good = await running.agent({ name: 'good', session: 'good-session' });
  const bad = await running.agent({ name: 'bad', session: 'bad-session' });
  await bad.wait('welcome');
  const closed = closeOf(bad.socket);
  bad.socket.send('{"type":"report","attempt":7}');
  const { code, reason } = await closed;
  assert.is(code, closeCodes.malformed);
  assert.match(reason, /^bad message "report": attempt: /);
  await until(async () => (await stateOf(running, 'bad')) === 'offline');
  good.send({ type: 'beat', state: 'ready' });
  await good.wait('beat');
  assert.is(await stateOf(running, 'good'), 'ready');
});

test('a second agent of one name is refused while the first is alive', async () => {
  await using running = await runningCoordinator();
  const first = await running.agent();
  await first.wait('welcome');
  const second = await running.agent({ session: 'another-process' });
  const { code, reason } = await closeOf(second.socket);
  assert.is(code, closeCodes.duplicate);
  assert.match(reason, 'an agent named pi-01 is connected');
  first.send({ type: 'beat', state: 'ready' });
  await first.wait('beat');
  assert.is(await stateOf(running, 'pi-01'), 'ready');
});

test('a new process takes the name over once the first has been silent for long', async () => {
  await using running = await runningCoordinator({ suspect: 500 });
  const first = await running.agent();
  await first.wait('welcome');
  await until(async () => (await stateOf(running, 'pi-01')) === 'suspect');
  const closed = closeOf(first.socket);
  const second = await running.agent({ session: 'another-process' });
  await second.wait('welcome');
  await closed;
  second.send({ type: 'beat', state: 'draining' });
  await until(async () => (await stateOf(running, 'pi-01')) === 'draining');
});

test('the same process over a new connection stays on, when the old one ends after it', async () => {
  await using running = await runningCoordinator();
  const first = await running.agent();
  await first.wait('welcome');
  const closed = closeOf(first.socket);
  const second = await running.agent();
  await second.wait('welcome');
  await closed;
  second.send({ type: 'beat', state: 'draining', reason: 'still here' });
  await second.wait('beat');
  await until(async () => (await agentsOf(running))[0]?.reason === 'still here', { what: 'it is connected' });
  assert.is(await stateOf(running, 'pi-01'), 'draining');
});

test('an attempt runs over the wire: offer, frames in the log under their numbers, report, settlement', async () => {
  await using running = await runningCoordinator();
  const agent = await running.agent({ attempts: [] });
  await agent.wait('welcome');
  const build = await submit(running);
  const { attempt, task } = await agent.wait('offer');
  assert.is(attempt, `${build}/${platform}/1`);
  assert.is(task.image, 'localhost:5000/onap/py-app-arm64v8:latest');
  agent.send({ type: 'accept', attempt });
  const log = { type: 'log', time: 1, step: 's', stream: 'stdout' } as const;
  agent.send({ type: 'progress', attempt, frame: 1, events: [{ ...log, text: 'once' }] });
  agent.send({ type: 'progress', attempt, frame: 1, events: [{ ...log, text: 'again' }] });
  agent.send({ type: 'progress', attempt, frame: 2, events: [{ ...log, text: 'more' }] });
  assert.is((await agent.wait('acknowledge', 3)).frame, 2);
  const error = { code: 'build-failed', message: 'RUN false' } as const;
  const outcome = { status: 'failed', kind: 'build', error, timings: {}, sentBytes: 0 } as const;
  agent.send({ type: 'report', attempt, lastFrame: 2, outcome });
  assert.equal(await agent.wait('settle'), { type: 'settle', attempt });
  await until(async () => (await resultOf(running, build)).status === 'failed');
  const text = await logOf(running, build);
  assert.ok(text.includes('"once"') && text.includes('"more"') && !text.includes('"again"'), text);
  const numbers = text
    .trim()
    .split('\n')
    .map((line) => v.parse(v.object({ seq: v.number() }), JSON.parse(line)).seq);
  assert.equal(
    numbers,
    numbers.map((_, index) => index + 1),
  );
});

test('a report ahead of its frames is not believed yet [B9]', async () => {
  await using running = await runningCoordinator();
  const agent = await running.agent();
  await agent.wait('welcome');
  const build = await submit(running);
  const { attempt } = await agent.wait('offer');
  agent.send({ type: 'accept', attempt });
  const events = [{ type: 'warning', time: 1, message: 'x' }] as const;
  agent.send({ type: 'progress', attempt, frame: 1, events });
  await agent.wait('acknowledge');
  const closed = closeOf(agent.socket);
  agent.send({ type: 'report', attempt, lastFrame: 2, outcome: { status: 'cancelled', reason: 'x' } });
  assert.is((await closed).code, closeCodes.restart);
  const [task] = (await resultOf(running, build)).platforms;
  assert.equal([task?.status, task?.attempts.length], ['running', 1]);
});

test('what an agent says of attempts that are not its own is settled and has no effect [B9]', async () => {
  await using running = await runningCoordinator();
  const owner = await running.agent({ name: 'owner', session: 'owner-session' });
  await owner.wait('welcome');
  const build = await submit(running);
  const { attempt } = await owner.wait('offer');
  owner.send({ type: 'accept', attempt });
  const unknown = 'nobuild/linux/amd64/1';
  const thief = await running.agent({
    name: 'thief',
    session: 'thief-session',
    slots: 0,
    attempts: [attempt, unknown],
  });
  assert.is((await thief.wait('settle')).attempt, attempt);
  assert.is((await thief.wait('settle', 2)).attempt, unknown);
  const image = { imageId: sampleDigest, digest: sampleDigest, size: 1, timings: {}, sentBytes: 0 };
  for (const foreign of [attempt, unknown]) {
    thief.send({ type: 'report', attempt: foreign, lastFrame: 0, outcome: { status: 'pushed', image } });
    thief.send({
      type: 'progress',
      attempt: foreign,
      frame: 1,
      events: [{ type: 'warning', time: 1, message: 'forged' }],
    });
    thief.send({ type: 'ask', attempt: foreign, ask: 1, question: { kind: 'push-auth' } });
    thief.send({ type: 'accept', attempt: foreign });
  }
  assert.is((await thief.wait('settle', 10)).attempt, unknown);
  thief.send({ type: 'decline', attempt: unknown, reason: 'x' });
  thief.send({ type: 'beat', state: 'ready' });
  await thief.wait('beat');
  assert.not(thief.messages.some((message) => message.type === 'answer' || message.type === 'acknowledge'));
  assert.is((await resultOf(running, build)).platforms[0]?.status, 'running');
  assert.not((await logOf(running, build)).includes('forged'));
});

test('an attempt may ask for its secrets, and hears by name which one is not there', async () => {
  await using running = await runningCoordinator();
  const agent = await running.agent();
  await agent.wait('welcome');
  await submit(running, { token: 'czNjcmV0' });
  const { attempt } = await agent.wait('offer');
  agent.send({ type: 'accept', attempt });
  agent.send({ type: 'ask', attempt, ask: 1, question: { kind: 'secret', id: 'token' } });
  assert.equal((await agent.wait('answer')).answer, { kind: 'secret', value: 'czNjcmV0' });
  agent.send({ type: 'ask', attempt, ask: 2, question: { kind: 'secret', id: 'other' } });
  const { ask, answer } = await agent.wait('answer', 2);
  assert.ok(ask === 2 && answer.kind === 'error' && answer.error.code === 'secret-missing');
  assert.match(answer.error.message, 'secret "other" of build ');
});

test('a cancelled build is cancelled at its agent', async () => {
  await using running = await runningCoordinator();
  const agent = await running.agent();
  await agent.wait('welcome');
  const build = await submit(running);
  const { attempt } = await agent.wait('offer');
  agent.send({ type: 'accept', attempt });
  await until(async () => (await resultOf(running, build)).status === 'running');
  assert.is((await running.ask(`/v1/builds/${build}/cancel`, { method: 'POST' })).status, 202);
  assert.is((await agent.wait('cancel')).attempt, attempt);
  agent.send({ type: 'report', attempt, lastFrame: 0, outcome: { status: 'cancelled', reason: 'x' } });
  assert.is((await agent.wait('settle')).attempt, attempt);
  assert.is((await resultOf(running, build)).status, 'cancelled');
});

test('what comes late of a build that has ended is acknowledged and forgotten: nothing is asked of its report', async () => {
  await using running = await runningCoordinator();
  const agent = await running.agent();
  await agent.wait('welcome');
  const build = await submit(running);
  const { attempt } = await agent.wait('offer');
  agent.send({ type: 'accept', attempt });
  await running.ask(`/v1/builds/${build}/cancel`, { method: 'POST' });
  await agent.wait('cancel');
  const events = [{ type: 'warning', time: 1, message: 'late' }] as const;
  agent.send({ type: 'progress', attempt, frame: 1, events });
  assert.is((await agent.wait('acknowledge')).frame, 1);
  agent.send({ type: 'report', attempt, lastFrame: 2, outcome: { status: 'cancelled', reason: 'x' } });
  const closed = closeOf(agent.socket);
  const end = await Promise.race([
    agent.wait('settle'),
    closed.then(({ code }) => ({ type: 'close', code })),
  ]);
  assert.is(end.type, 'settle');
});

test.run();

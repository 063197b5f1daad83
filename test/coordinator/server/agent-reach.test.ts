/** What an agent that has joined can reach: its own attempts, where it may push, and nothing once it was removed. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import type { WebSocket } from 'ws';
import { toBuffer } from '../../../shared/channel.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { messageOf } from '../../../shared/errors.ts';
import { closeCodes, type Question } from '../../../shared/messages.ts';
import type { TlsTrust } from '../../../shared/trust.ts';
import { joinableCoordinator, joinAs, refusalOf } from '../../support/joined-agent.ts';
import type { RunningCoordinator } from '../../support/running-coordinator.ts';
import { sampleDigest } from '../../support/sample-messages.ts';
import { submitBuild, tree } from '../../support/submitted-build.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import { closeOf } from '../../support/web-sockets.ts';

const platform = 'linux/arm64/v8';
/** What a client with an ssh agent is asked for. */
const opening = v.pipe(v.string(), v.parseJson(), v.object({ tunnel: v.string() }));
const resultAnswer = v.object({
  platforms: v.array(v.object({ status: v.string(), agent: v.optional(v.string()) })),
});

function submit(
  running: RunningCoordinator,
  {
    tag = 'localhost:5000/onap/py-app:latest',
    secrets = {},
  }: { tag?: string; secrets?: Record<string, string> } = {},
): Promise<string> {
  const asked = { secrets: Object.keys(secrets), ssh: ['default'], waitAgent: 600_000 };
  return submitBuild(running, { tags: [tag], platforms: [platform], ...asked }, secrets);
}

async function taskOf(
  running: RunningCoordinator,
  build: string,
): Promise<{ status: string; agent?: string | undefined }> {
  const [task] = v.parse(resultAnswer, (await running.ask(`/v1/builds/${build}`)).body).platforms;
  return task ?? { status: 'none' };
}

test('five hundred questions of an agent about what is not its own bring nothing', async () => {
  await using running = await joinableCoordinator();
  const canary = Buffer.from('canary-of-a-secret').toString('base64');
  const owner = await running.agent(
    { name: 'owner', session: 'owner-session' },
    await joinAs(running, 'owner'),
  );
  await owner.wait('welcome');
  const build = await submit(running, { secrets: { token: canary } });
  const { attempt } = await owner.wait('offer');
  owner.send({ type: 'accept', attempt });
  await until(async () => (await taskOf(running, build)).status === 'running');
  const trust = await joinAs(running, 'rogue');
  const rogue = await running.agent(
    { name: 'rogue', session: 'rogue-session', slots: 1, attempts: [attempt] },
    trust,
  );
  await rogue.wait('welcome');
  const names = [attempt, `${build}/${platform}/2`, `${build}/linux/amd64/1`, 'nobuild/linux/amd64/1'];
  const questions: Question[] = [
    { kind: 'secret', id: 'token' },
    { kind: 'push-auth' },
    { kind: 'pull-auth', host: 'localhost:5000', repositories: ['onap/py-app'] },
    { kind: 'pull-scheme', host: 'localhost:5000' },
  ];
  let asked = 0;
  for (; asked < 320; asked += 1) {
    const question = questions[asked % questions.length];
    const name = names[Math.floor(asked / questions.length) % names.length];
    if (question !== undefined && name !== undefined)
      rogue.send({ type: 'ask', attempt: name, ask: asked + 1, question });
  }
  // The context by every digest that there is, also in the owner's name.
  const items = [
    { kind: 'directory', digest: tree.root, size: 0, offset: 0 },
    { kind: 'blob', digest: digestOf(Buffer.from('FROM scratch\n')), size: 13, offset: 0 },
  ];
  const answers: string[] = [];
  for (const query of [{ agent: 'owner' }, { agent: 'rogue' }, {}] as Record<string, string>[]) {
    const ends = (): number => answers.filter((text) => text.includes('"end"')).length;
    const before = ends();
    const contexts = await running.connect('/v1/agent/context', query, trust);
    contexts.on('message', (data, binary) =>
      answers.push(binary ? 'BYTES' : toBuffer(data).toString('utf8')),
    );
    for (let batch = 1; batch <= 20; batch += 1, asked += 1) {
      const item = items[batch % 2];
      contexts.send(JSON.stringify({ type: 'want', batch, urgent: true, items: [item] }));
      await until(() => ends() === before + batch);
    }
  }
  assert.is(answers.filter((text) => text.includes('"missing"')).length, 60);
  assert.not(answers.includes('BYTES'));
  const paths = ['events', 'path?digest=x', 'secrets', 'complete', ''].map(
    (end) => `/v1/builds/${build}/${end}`,
  );
  const api = [...paths, '/v1/builds', '/v1/agents', '/v1/store', '/v1/publisher?reference=x', '/v1/plan'];
  for (let count = 0; count < 80; count += 1, asked += 1) {
    const path = (api[count % api.length] ?? '').replace(/\/$/, '');
    const method = ['GET', 'POST', 'PUT', 'DELETE'][count % 4] ?? 'GET';
    const said = await running.ask(path, { method, trust, headers: { authorization: '' } });
    assert.ok(said.status === 403 || said.status === 404, `${method} ${path}: ${said.status}`);
    assert.not(JSON.stringify(said.body).includes('py-app'));
  }
  for (let count = 0; count < 40; count += 1, asked += 1) {
    const name = names[count % names.length] ?? '';
    const ssh = await refusalOf(running, '/v1/agent/ssh', { trust, query: { attempt: name, id: 'default' } });
    assert.is(ssh.status, 404);
  }
  assert.ok(asked >= 500, `${asked}`);
  rogue.send({ type: 'beat', state: 'ready' });
  await rogue.wait('beat');
  assert.not(rogue.messages.some(({ type }) => type === 'answer' || type === 'offer'));
  assert.is((await taskOf(running, build)).agent, 'owner');
  // Not that nobody is told anything: the owner is.
  owner.send({ type: 'ask', attempt, ask: 1, question: { kind: 'secret', id: 'token' } });
  assert.equal((await owner.wait('answer')).answer, { kind: 'secret', value: canary });
});

test('an agent that may push to one place alone is neither offered nor given anything for another', async () => {
  await using running = await joinableCoordinator();
  const trust = await joinAs(running, 'pi-01', {
    repositories: ['localhost:5000/lab'],
    platforms: [platform],
  });
  const agent = await running.agent({}, trust);
  await agent.wait('welcome');
  await submit(running);
  const own = await submit(running, { tag: 'localhost:5000/lab/tool:1' });
  const { attempt } = await agent.wait('offer');
  assert.is(attempt, `${own}/${platform}/1`);
  const agents = JSON.stringify((await running.ask('/v1/agents')).body);
  assert.not(agents.includes('linux/arm/v7'), 'what its host may not offer is not offered');
});

test('a removed agent is cut off at once, its work is given to others, and nothing of it counts or comes back', async () => {
  await using data = await temporaryDirectory();
  let trust: TlsTrust;
  {
    await using running = await joinableCoordinator({}, { data: data.path });
    trust = await joinAs(running, 'pi-01');
    const agent = await running.agent({}, trust);
    await agent.wait('welcome');
    const build = await submit(running);
    const { attempt } = await agent.wait('offer');
    agent.send({ type: 'accept', attempt });
    await until(async () => (await taskOf(running, build)).status === 'running');
    const contexts = await running.connect('/v1/agent/context', { agent: 'pi-01' }, trust);
    const spare = await running.agent(
      { name: 'spare', session: 'spare-session' },
      await joinAs(running, 'spare'),
    );
    await spare.wait('welcome');
    const closed = Promise.all([closeOf(agent.socket), closeOf(contexts)]);
    const started = performance.now();
    assert.is((await running.ask('/v1/agents/pi-01', { method: 'DELETE' })).status, 204);
    const image = { imageId: sampleDigest, digest: sampleDigest, size: 1, timings: {}, sentBytes: 0 };
    agent.send({ type: 'report', attempt, lastFrame: 0, outcome: { status: 'pushed', image } });
    assert.equal(
      (await closed).map(({ code }) => code),
      [closeCodes.revoked, closeCodes.revoked],
    );
    assert.ok(performance.now() - started < 5000);
    assert.is((await spare.wait('offer')).attempt, `${build}/${platform}/2`);
    assert.match(
      (await refusalOf(running, '/v1/agent', { trust })).text,
      'agent pi-01 was removed from this farm',
    );
    assert.is(
      (
        await running.ask('/v1/agent/renew', {
          method: 'POST',
          trust,
          headers: { authorization: '' },
          body: { request: '' },
        })
      ).status,
      403,
    );
    assert.is((await running.ask('/v1/agents/pi-01', { method: 'DELETE' })).status, 404);
  }
  await using running = await joinableCoordinator({}, { data: data.path });
  const refused = await refusalOf(running, '/v1/agent', { trust });
  assert.equal([refused.status, /agent-removed/.test(refused.text)], [403, true], 'also after a restart');
  const anew = await running.agent({}, await joinAs(running, 'pi-01'));
  await anew.wait('welcome');
  assert.is(
    (await refusalOf(running, '/v1/agent', { trust })).status,
    403,
    'the old one does not come back with it',
  );
});

test('a removed agent that came with the shared token keeps no connection beside, nor gets one that it waits for', async () => {
  await using running = await joinableCoordinator();
  const agent = await running.agent();
  await agent.wait('welcome');
  const build = await submit(running);
  const { attempt } = await agent.wait('offer');
  agent.send({ type: 'accept', attempt });
  await until(async () => (await taskOf(running, build)).status === 'running');
  const client = await running.connect('/v1/client/ssh', { build, ids: 'default' });
  const asked: string[] = [];
  client.on('message', (data) => asked.push(v.parse(opening, toBuffer(data).toString('utf8')).tunnel));
  const askFor = (): Promise<WebSocket> => running.connect('/v1/agent/ssh', { attempt, id: 'default' });
  const open = (count: number): Promise<WebSocket> =>
    until(() => asked[count - 1]).then((tunnel) => running.connect('/v1/client/tunnel', { tunnel }));
  const [ssh, far] = await Promise.all([askFor(), open(1)]);
  const contexts = await running.connect('/v1/agent/context', { agent: 'pi-01' });
  const late = askFor().then(() => 'let in', messageOf);
  await until(() => asked[1]);
  const closed = Promise.all([agent.socket, ssh, far, contexts].map(closeOf));
  assert.is((await running.ask('/v1/agents/pi-01', { method: 'DELETE' })).status, 204);
  await closed;
  await closeOf(await open(2));
  assert.match(await late, '404');
});

test.run();

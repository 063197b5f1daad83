/** Agents that join by certificate: who gets one, whom it makes known, and what nobody else is told. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { newSigningRequest } from '../../../agent/certificate-request.ts';
import { join } from '../../../agent/join.ts';
import { ContextUpload } from '../../../coordinator/cli/context-upload.ts';
import { toBuffer } from '../../../shared/channel.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { dial } from '../../../shared/dial.ts';
import { formatJoinToken, type JoinToken } from '../../../shared/join-token.ts';
import { closeCodes, type Question } from '../../../shared/messages.ts';
import type { TlsTrust } from '../../../shared/trust.ts';
import { testAuthority } from '../../support/certificates.ts';
import { failureOf } from '../../support/failure.ts';
import { sampleSpec } from '../../support/farm-fixtures.ts';
import type { HttpAnswer } from '../../support/http-request.ts';
import { invite, joinAs, startListener, useToken } from '../../support/joined-agent.ts';
import { dir, memoryTree } from '../../support/memory-tree.ts';
import { runningCoordinator, testToken, type RunningCoordinator } from '../../support/running-coordinator.ts';
import { sampleDigest } from '../../support/sample-messages.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import { closeOf } from '../../support/web-sockets.ts';

const own = { tls: { type: 'own', names: ['127.0.0.1', 'localhost'] } } as const;
const platform = 'linux/arm64/v8';
const tree = memoryTree(dir(['Dockerfile', 'FROM scratch\n']));
const errorAnswer = v.object({
  error: v.object({ code: v.string(), message: v.string(), hint: v.optional(v.string()) }),
});
const buildAnswer = v.object({ build: v.string() });
const resultAnswer = v.object({
  platforms: v.array(v.object({ status: v.string(), agent: v.optional(v.string()) })),
});

function coordinator(timers = {}, options = {}): Promise<RunningCoordinator> {
  return runningCoordinator(timers, () => false, { ...own, ...options });
}

async function submit(
  running: RunningCoordinator,
  {
    tag = 'localhost:5000/onap/py-app:latest',
    secrets = {},
  }: { tag?: string; secrets?: Record<string, string> } = {},
): Promise<string> {
  const link = randomBytes(12).toString('base64url');
  const upload = new ContextUpload({
    coordinator: running.url,
    token: testToken,
    trust: running.trust,
    link,
    source: tree,
  });
  try {
    const spec = sampleSpec({
      tags: [tag],
      platforms: [platform],
      context: { root: tree.root, name: 'c', files: 1, bytes: 1 },
      dockerfile: { root: tree.root, name: 'Dockerfile' },
      secrets: Object.keys(secrets),
      ssh: ['default'],
      waitAgent: 600_000,
    });
    const answer = await running.ask('/v1/builds', { method: 'POST', body: { spec, secrets, link } });
    assert.is(answer.status, 201, JSON.stringify(answer.body));
    return v.parse(buildAnswer, answer.body).build;
  } finally {
    await upload.close();
  }
}

/** How an upgrade is refused. */
async function refusalOf(
  running: RunningCoordinator,
  path: string,
  {
    query = {},
    trust = {},
    token,
  }: { query?: Record<string, string>; trust?: TlsTrust; token?: string } = {},
): Promise<{ status: number; text: string }> {
  const how = { rejectUnauthorized: false };
  const socket = dial(path, { coordinator: running.url, token, query, trust: { ...trust, ...how } });
  socket.on('error', () => {});
  const [, response] = await Promise.race([
    once(socket, 'unexpected-response'),
    once(socket, 'open').then(() => {
      socket.terminate();
      throw new Error(`${path} was let in`);
    }),
  ]);
  let text = '';
  for await (const piece of response) text += String(piece);
  socket.terminate();
  return { status: Number(response.statusCode), text };
}

function bearer({ secret }: { secret: string }): { authorization: string } {
  return { authorization: `Bearer ${secret}` };
}

function useOnce(running: RunningCoordinator, token: JoinToken, request: string): Promise<HttpAnswer> {
  return running.ask('/v1/join', { method: 'POST', body: { request }, headers: bearer(token) });
}

/** PEM: its signature is wrong. */
function withLastByteFlipped(pem: string): string {
  const der = Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64');
  der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
  return `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
}

function messageOf({ body }: HttpAnswer): string {
  return v.parse(errorAnswer, body).error.message;
}

async function taskOf(
  running: RunningCoordinator,
  build: string,
): Promise<{ status: string; agent?: string | undefined }> {
  const [task] = v.parse(resultAnswer, (await running.ask(`/v1/builds/${build}`)).body).platforms;
  return task ?? { status: 'none' };
}

test('of a thousand uses of one token at once just one brings a certificate, and the others are noticed', async () => {
  await using running = await coordinator();
  const token = await invite(running, 'pi-01');
  const { request } = await newSigningRequest();
  const uses = Array.from({ length: 1000 }, () => useOnce(running, token, request));
  // On a busy machine some are hung up on before their turn: whoever is not known yet has 5 s.
  const answers = (await Promise.allSettled(uses)).flatMap((use) =>
    use.status === 'fulfilled' ? [use.value] : [],
  );
  const refused = answers.filter(({ status }) => status === 401).length;
  assert.equal([answers.length - refused, answers.find(({ status }) => status !== 401)?.status], [1, 200]);
  assert.ok(refused > 0);
  assert.ok(running.warnings.filter((line) => line.includes('join-token-reused')).length >= refused);
  assert.match(messageOf(await useOnce(running, token, request)), 'has been used already');
});

test('a token is good for its time, its coordinator and a request that proves its key', async () => {
  await using data = await temporaryDirectory();
  {
    await using running = await coordinator({ joinToken: -1 }, { data: data.path });
    const late = await useOnce(running, await invite(running, 'pi-01'), (await newSigningRequest()).request);
    assert.equal([late.status, messageOf(late)], [401, 'the token to join with has expired']);
  }
  let token: JoinToken;
  {
    await using running = await coordinator({}, { data: data.path });
    const superseded = await invite(running, 'pi-01');
    token = await invite(running, 'pi-01');
    const { request } = await newSigningRequest();
    for (const other of [superseded, { ...token, secret: 'A'.repeat(32) }])
      assert.match(messageOf(await useOnce(running, other, request)), 'knows no such token');
    const broken = withLastByteFlipped(request);
    for (const bad of [broken, 'no request', '']) assert.is((await useOnce(running, token, bad)).status, 400);
    assert.is((await useOnce(running, { pin: '', secret: '' }, request)).status, 401);
    const files = await readFile(`${data.path}/archfarm.db`);
    assert.not(files.includes(token.secret), 'what is stored is its hash');
  }
  // Also after a restart, and after what was wrong with it.
  await using running = await coordinator({}, { data: data.path });
  const agent = await running.agent({}, await useToken(running, token));
  await agent.wait('welcome');
});

test('somebody in between with another authority gets no byte of the secret', async () => {
  await using running = await coordinator();
  await using other = await testAuthority();
  await using data = await temporaryDirectory();
  const token = await invite(running, 'pi-01');
  await using between = await startListener(await other.sign('IP:127.0.0.1'));
  const options = { data: data.path, ca: undefined, signal: AbortSignal.timeout(20_000) };
  const address = `wss://127.0.0.1:${between.port}`;
  // Also where the host trusts that authority.
  for (const ca of [undefined, other.file]) {
    const error = await failureOf(join({ ...options, ca, address, token: formatJoinToken(token) }));
    assert.is(error.code, 'unauthorized');
    assert.match(error.message, 'shows no certificate that the token was made for; nothing was sent to it');
  }
  assert.ok(between.connections > 0, 'it was spoken to');
  assert.is(Buffer.concat(between.heard).length, 0);
  assert.equal(await readdir(data.path), []);
  const plain = await failureOf(
    join({ ...options, address: `ws://127.0.0.1:${between.port}`, token: formatJoinToken(token) }),
  );
  assert.is(plain.code, 'usage');
  const joined = await join({ ...options, address: running.url.href, token: formatJoinToken(token) });
  assert.is(joined, 'pi-01');
  assert.is((await stat(`${data.path}/identity/agent.pem`)).mode & 0o777, 0o600);
});

test('a coordinator with a certificate from elsewhere is known by that, or by the authority that it shows', async () => {
  await using authority = await testAuthority();
  await using data = await temporaryDirectory();
  const { certificate, files } = await authority.sign('IP:127.0.0.1');
  const chain = `${data.path}/chain.crt`;
  await writeFile(chain, `${certificate}${authority.certificate}`);
  for (const [shown, ca] of [
    [files.certificate, authority.file],
    [chain, undefined],
  ] as const) {
    await using running = await runningCoordinator({}, () => false, {
      tls: { type: 'files', certificate: shown, key: files.key },
      trust: { ca: [authority.certificate] },
    });
    const options = {
      address: running.url.href,
      data: `${data.path}/agent`,
      signal: AbortSignal.timeout(20_000),
    };
    const token = formatJoinToken(await invite(running, 'pi-01'));
    if (ca !== undefined) {
      const error = await failureOf(join({ ...options, token, ca: undefined }));
      assert.match(error.message, 'authority that is not trusted here');
    }
    assert.is(await join({ ...options, token, ca }), 'pi-01');
  }
});

test('an agent is who its certificate says, and nobody else comes in under its name', async () => {
  await using running = await coordinator({}, { tokenAgents: true });
  const trust = await joinAs(running, 'pi-01');
  const other = await running.agent({ name: 'pi-02' }, trust);
  assert.equal(await closeOf(other.socket), {
    code: closeCodes.revoked,
    reason: 'its certificate is for pi-01 and not for pi-02',
  });
  const thief = await running.agent();
  assert.is((await closeOf(thief.socket)).code, closeCodes.revoked);
  assert.is(running.warnings.filter((line) => line.includes('agent-name-refused')).length, 2);
  const contexts = await refusalOf(running, '/v1/agent/context', {
    token: testToken,
    query: { agent: 'pi-01' },
  });
  assert.is(contexts.status, 403, contexts.text);
  const again = await running.ask('/v1/agents', { method: 'POST', body: { name: 'pi-01' } });
  assert.match(messageOf(again), 'agent pi-01 has joined already');
  const owner = await running.agent({}, trust);
  await owner.wait('welcome');
  const byToken = await running.agent({ name: 'small', session: 'small-session' });
  await byToken.wait('welcome');
});

test('with one agent that has joined, the shared token is for clients alone', async () => {
  await using running = await coordinator();
  const before = await running.agent({ name: 'small', session: 'small-session' });
  await before.wait('welcome');
  await joinAs(running, 'pi-01');
  for (const path of ['/v1/agent', '/v1/agent/context', '/v1/agent/ssh']) {
    const { status, text } = await refusalOf(running, path, { token: testToken });
    assert.is(status, 403);
    assert.match(text, /by certificate, and no more with its token.*--token-agents/);
  }
  assert.is((await running.ask('/v1/agents')).status, 200);
});

test('certificates that have expired, or are of another authority, are refused with that reason', async () => {
  await using running = await coordinator({ certificate: 1000 });
  const short = await joinAs(running, 'pi-01');
  await until(async () =>
    (await refusalOf(running, '/v1/agent', { trust: short }).catch(() => undefined))?.text.includes(
      'has expired',
    ),
  );
  await using other = await testAuthority();
  const { certificate, key } = await other.sign('DNS:pi-01', { commonName: 'pi-01' });
  const foreign = await refusalOf(running, '/v1/agent', { trust: { cert: certificate, key } });
  assert.is(foreign.status, 401);
  assert.match(foreign.text, "the agent's certificate is of an authority that is not trusted");
  const api = await running.ask('/v1/agents', { trust: { cert: certificate, key } });
  assert.is(api.status, 401, 'a token beside it makes it no better');
});

test('certificates of an authority of our own choice count by their common name, and can be taken away', async () => {
  await using authority = await testAuthority();
  await using running = await coordinator({}, { clientCa: authority.file });
  const sign = async (commonName: string, expired = false): Promise<TlsTrust> => {
    const { certificate, key } = await authority.sign('DNS:x', { commonName, expired });
    return { cert: certificate, key };
  };
  const agent = await running.agent({}, await sign('pi-01'));
  await agent.wait('welcome');
  const invited = await running.ask('/v1/agents', { method: 'POST', body: { name: 'pi-02' } });
  assert.equal(invited, { status: 201, body: {} });
  const old = await refusalOf(running, '/v1/agent', { trust: await sign('pi-02', true) });
  assert.match(old.text, "the agent's certificate has expired");
  assert.match((await refusalOf(running, '/v1/agent', { token: testToken })).text, 'by certificate');
  const closed = closeOf(agent.socket);
  assert.is((await running.ask('/v1/agents/pi-01', { method: 'DELETE' })).status, 204);
  assert.is((await closed).code, closeCodes.revoked);
  const renewed = await refusalOf(running, '/v1/agent', { trust: await sign('pi-01') });
  assert.match(renewed.text, 'agent-removed');
});

test('of two live processes with one identity one is connected at any time, and nobody flaps', async () => {
  await using running = await coordinator();
  const trust = await joinAs(running, 'pi-01');
  const first = await running.agent({ session: 'first-session' }, trust);
  await first.wait('welcome');
  const codes = await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const clone = await running.agent({ session: `clone-session-${index}` }, trust);
      return (await closeOf(clone.socket)).code;
    }),
  );
  assert.equal(new Set(codes), new Set([closeCodes.duplicate]));
  assert.is(running.warnings.filter((line) => line.includes('duplicate-agent')).length, 200);
  first.send({ type: 'beat', state: 'ready' });
  await first.wait('beat');
});

test('the newest of two processes gets in once the other has been silent for long', async () => {
  await using running = await coordinator({ suspect: 30 });
  const trust = await joinAs(running, 'pi-01');
  const first = await running.agent({ session: 'first-session' }, trust);
  await first.wait('welcome');
  await until(async () => JSON.stringify((await running.ask('/v1/agents')).body).includes('suspect'));
  const second = await running.agent({ session: 'second-session' }, trust);
  await second.wait('welcome');
});

test('five hundred questions of an agent about what is not its own bring nothing', async () => {
  await using running = await coordinator();
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
    }
    await until(() => ends() === before + 20);
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
  await using running = await coordinator();
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
    await using running = await coordinator({}, { data: data.path });
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
  await using running = await coordinator({}, { data: data.path });
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

test.run();

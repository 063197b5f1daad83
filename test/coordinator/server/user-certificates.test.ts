/** Users by their certificates: what those are good for, and that they make nobody an agent. */
import { once } from 'node:events';
import { Agent, get } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { WebSocket } from 'ws';
import { webSocketUrl } from '../../../shared/address.ts';
import type { TlsTrust } from '../../../shared/trust.ts';
import { testAuthority, type Pair } from '../../support/certificates.ts';
import { ask, type HttpAnswer, type HttpOptions } from '../../support/http-request.ts';
import { joinableCoordinator, joinAs, refusalIn, refusalOf } from '../../support/joined-agent.ts';
import { runningCoordinator, testToken, type RunningCoordinator } from '../../support/running-coordinator.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';

const agentDoors = ['/v1/agent', '/v1/agent/context', '/v1/agent/ssh'];

interface NewUser {
  readonly role?: string;
  readonly certificate?: string;
}

function add(running: RunningCoordinator, name: string, given: NewUser): Promise<HttpAnswer> {
  return running.ask('/v1/users', { method: 'POST', body: { name, role: 'read', ...given } });
}

/** Its token. */
async function addUser(running: RunningCoordinator, name: string, given: NewUser): Promise<string> {
  const { status, body } = await add(running, name, given);
  assert.is(status, 201, JSON.stringify(body));
  return v.parse(v.object({ token: v.string() }), body).token;
}

function shows({ certificate, key }: Pick<Pair, 'certificate' | 'key'>): TlsTrust {
  return { cert: certificate, key };
}

/** With the certificate alone, unless `options` say more. */
function askBy(
  running: RunningCoordinator,
  pair: Pick<Pair, 'certificate' | 'key'>,
  path: string,
  options: HttpOptions = {},
): Promise<HttpAnswer> {
  return ask(new URL(path, running.url), { ...options, trust: { ...running.trust, ...shows(pair) } });
}

async function nameBy(running: RunningCoordinator, pair: Pick<Pair, 'certificate' | 'key'>): Promise<string> {
  const { status, body } = await askBy(running, pair, '/v1/whoami');
  return status === 200 ? v.parse(v.object({ name: v.string() }), body).name : refusalIn({ status, body });
}

const bearer = (token: string): { headers: Record<string, string> } => ({
  headers: { authorization: `Bearer ${token}` },
});

test('a user is known by its certificate, with its role, and a token that is given goes before it', async () => {
  await using authority = await testAuthority();
  await using running = await joinableCoordinator();
  const alice = await authority.sign('DNS:x', { commonName: 'somebody' });
  const stranger = await authority.sign('DNS:x', { commonName: 'somebody' });
  const token = await addUser(running, 'alice', { certificate: alice.certificate });
  const bobs = await addUser(running, 'bob', { role: 'admin' });

  const { body } = await askBy(running, alice, '/v1/whoami');
  assert.equal(body, { type: 'user', name: 'alice', role: 'read', repositories: [], from: '127.0.0.1' });
  assert.is((await askBy(running, alice, '/v1/agents')).status, 200);
  const order = { method: 'POST', body: {} } as const;
  const drain = await askBy(running, alice, '/v1/agents/nobody/drain', order);
  assert.is(drain.status, 403);
  assert.match(refusalIn(drain), 'user alice has the role read: to drain agents takes the role admin');

  const asBob = await askBy(running, alice, '/v1/agents/nobody/drain', { ...order, ...bearer(bobs) });
  assert.is(asBob.status, 404, 'the token of an admin is what counts');
  const wrong = await askBy(running, alice, '/v1/agents', bearer('wrong'));
  assert.is(wrong.status, 401);
  assert.match(refusalIn(wrong), 'the coordinator refuses this token');
  assert.is((await running.ask('/v1/whoami', bearer(token))).status, 200);

  assert.match(await nameBy(running, stranger), /^the certificate is that of no user, and for an agent/);
  assert.is((await askBy(running, stranger, '/v1/agents', bearer(bobs))).status, 200);
  const nothing = await ask(new URL('/v1/agents', running.url), { trust: running.trust });
  assert.is(refusalIn(nothing), 'the coordinator asks who this is');

  const users = await running.ask('/v1/users');
  const listed = v.parse(
    v.object({
      users: v.array(
        v.object({ name: v.string(), certificate: v.optional(v.object({ expiresAt: v.number() })) }),
      ),
    }),
    users.body,
  ).users;
  assert.ok(Math.abs((listed[0]?.certificate?.expiresAt ?? 0) - Date.now() - 86_400_000) < 120_000);
  assert.is(listed[1]?.certificate, undefined);
  assert.match(
    JSON.stringify((await running.ask('/v1/audit')).body),
    /as read, with the certificate sha256:[0-9a-f]{64}/,
  );
});

test('a certificate belongs to one user, or to an agent', async () => {
  await using authority = await testAuthority();
  await using running = await joinableCoordinator();
  const { certificate } = await authority.sign('DNS:x');
  await addUser(running, 'alice', { certificate });
  assert.is(
    refusalIn(await add(running, 'bob', { certificate })),
    'the certificate is that of user alice already',
  );
  const { cert = '' } = await joinAs(running, 'pi-01');
  const [agents = ''] = /-----BEGIN CERT[^]+?END CERT.*/.exec(cert) ?? [];
  assert.is(
    refusalIn(await add(running, 'bob', { certificate: agents })),
    'the certificate is that of an agent',
  );
  assert.match(refusalIn(await add(running, 'bob', { certificate: cert })), 'has a private key in it');
  const own = running.trust.ca?.[0] ?? '';
  assert.match(refusalIn(await add(running, 'bob', { certificate: own })), 'whose certificates make agents');
  assert.is((await add(running, 'bob', { certificate: 'x'.repeat(65 * 1024) })).status, 400);
  // What was given up may be somebody else's.
  assert.is((await running.ask('/v1/users/alice', { method: 'DELETE' })).status, 204);
  await addUser(running, 'bob', { certificate });
});

test('without TLS there is nobody to show a certificate to', async () => {
  await using authority = await testAuthority();
  await using running = await runningCoordinator();
  const { certificate } = await authority.sign('DNS:x');
  const refused = await add(running, 'alice', { certificate });
  assert.is(refused.status, 400);
  assert.match(JSON.stringify(refused.body), /speaks no TLS.*archfarm serve --tls/);
  await addUser(running, 'alice', {});
});

test('no certificate of a user, or of who issued it, makes an agent: with our own authority', async () => {
  await using authority = await testAuthority({ commonName: 'archfarm farm authority' });
  await using running = await joinableCoordinator();
  const joined = await joinAs(running, 'pi-01');
  const alice = await authority.sign('DNS:x', { commonName: 'pi-01' });
  const namesake = await authority.sign('DNS:x', { commonName: 'pi-01' });
  await addUser(running, 'alice', { role: 'admin', certificate: alice.certificate });
  assert.is(await nameBy(running, alice), 'alice');
  const below = `${namesake.certificate}${authority.certificate}`;
  for (const door of agentDoors) {
    const user = await refusalOf(running, door, { trust: shows(alice), query: { agent: 'pi-01' } });
    assert.is(user.status, 403, user.text);
    assert.match(user.text, 'user alice has the role admin: only an agent may work as an agent');
    for (const certificate of [namesake.certificate, below, authority.certificate]) {
      const key = certificate === authority.certificate ? authority.key : namesake.key;
      const other = await refusalOf(running, door, { trust: { cert: certificate, key } });
      assert.is(other.status, 401, other.text);
      assert.match(other.text, 'of an authority that is not trusted');
    }
  }
  const renew = await askBy(running, alice, '/v1/agent/renew', { method: 'POST', body: { request: '' } });
  assert.is(renew.status, 403);
  const agent = await running.agent({}, joined);
  await agent.wait('welcome');
});

test('no certificate of a user, or of who issued it, makes an agent: where agents are known by their common names', async () => {
  // All are called alike, so that the right one is not found by its name.
  await using agents = await testAuthority({ commonName: 'Company CA' });
  await using company = await testAuthority({ commonName: 'Company CA' });
  await using running = await joinableCoordinator({}, { clientCa: agents.file });
  const alice = await company.sign('DNS:x', { commonName: 'pi-01' });
  const colleague = await company.sign('DNS:x', { commonName: 'pi-01' });
  await addUser(running, 'alice', { role: 'admin', certificate: alice.certificate + company.certificate });
  assert.is(await nameBy(running, alice), 'alice');
  assert.is(
    await nameBy(running, { ...alice, certificate: alice.certificate + company.certificate }),
    'alice',
  );
  for (const door of agentDoors) {
    for (const chain of ['', company.certificate, agents.certificate]) {
      const user = await refusalOf(running, door, {
        trust: { cert: alice.certificate + chain, key: alice.key },
      });
      assert.is(user.status, 403, user.text);
      const other = await refusalOf(running, door, {
        trust: { cert: colleague.certificate + chain, key: colleague.key },
      });
      assert.is(other.status, 401, other.text);
    }
  }
  // One whose name is listed is still to be believed where it makes agents.
  const agent = await running.agent({}, shows(await agents.sign('DNS:x', { commonName: 'pi-01' })));
  await agent.wait('welcome');

  const own = await agents.sign('DNS:x', { commonName: 'bob' });
  const refused = await add(running, 'bob', { certificate: own.certificate });
  assert.match(refusalIn(refused), 'is of the authority whose certificates make agents');
  assert.is((await running.ask('/v1/users/alice', { method: 'DELETE' })).status, 204);
  const gone = await refusalOf(running, '/v1/agent', { trust: shows(alice) });
  assert.is(gone.status, 401, gone.text);
});

test('a certificate that turns out to be of the authority of agents counts for neither', async () => {
  await using root = await testAuthority({ commonName: 'root' });
  await using below = await testAuthority({ commonName: 'below', above: root });
  await using running = await joinableCoordinator({}, { clientCa: root.file });
  const alice = await below.sign('DNS:x', { commonName: 'pi-01' });
  const chain = alice.certificate + below.certificate;
  assert.match(refusalIn(await add(running, 'alice', { certificate: chain })), 'make agents');
  // That is not to be seen of the certificate alone.
  const token = await addUser(running, 'alice', { certificate: alice.certificate });
  assert.is(await nameBy(running, alice), 'alice');
  const whole = { certificate: chain, key: alice.key };
  assert.match(
    await nameBy(running, whole),
    'certificate of user alice is of the authority whose certificates make agents',
  );
  assert.is((await refusalOf(running, '/v1/agent', { trust: shows(whole) })).status, 401);
  assert.is((await askBy(running, whole, '/v1/agents', bearer(token))).status, 200);
});

test('agents whose issuer is called like that of a user go on, however their certificates name it', async () => {
  await using root = await testAuthority({ commonName: 'root' });
  await using below = await testAuthority({ commonName: 'below', above: root });
  await using namesake = await testAuthority({ commonName: 'below' });
  await using running = await joinableCoordinator({}, { clientCa: root.file });
  await addUser(running, 'alice', { certificate: (await namesake.sign('DNS:x')).certificate });
  const { certificate, key } = await below.sign('DNS:x', { commonName: 'pi-01' });
  const agent = await running.agent({}, { cert: certificate + below.certificate, key });
  await agent.wait('welcome');
});

test('dates are looked at with every request, on connections that are open too', async () => {
  await using authority = await testAuthority();
  await using running = await joinableCoordinator();
  const end = new Date(Date.now() + 6000);
  const short = await authority.sign('DNS:x', { until: end });
  const token = await addUser(running, 'alice', { certificate: short.certificate });
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ...running.trust, ...shows(short) });
  const askAgain = async (): Promise<string> => {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      get(new URL('/v1/whoami', running.url), { agent }, resolve).on('error', reject);
    });
    let text = '';
    for await (const piece of answer) text += String(piece);
    return text;
  };
  try {
    assert.match(await askAgain(), '"alice"');
    const refused = await until(async () => {
      const text = await askAgain();
      return text.includes('unauthorized') && text;
    });
    assert.ok(Date.now() >= end.getTime() - 1000);
    assert.match(refused, /the certificate of user alice has expired on .*the token counts still/);
    assert.match(await nameBy(running, short), 'has expired on');
    assert.is((await askBy(running, short, '/v1/agents', bearer(token))).status, 200);
  } finally {
    agent.destroy();
  }
});

test('pages of others cannot use the certificate that a browser shows for them', async () => {
  await using authority = await testAuthority();
  await using running = await joinableCoordinator();
  const alice = await authority.sign('DNS:x');
  await addUser(running, 'alice', { role: 'admin', certificate: alice.certificate });
  const { host } = running.url;
  const order = { method: 'POST', body: {} } as const;
  const drain = (headers: Record<string, string>): Promise<HttpAnswer> =>
    askBy(running, alice, '/v1/agents/nobody/drain', { ...order, headers });
  assert.is((await drain({ origin: `https://${host}`, 'sec-fetch-site': 'same-origin' })).status, 404);
  assert.is((await drain({})).status, 404, 'a program says nothing of pages');
  const foreign: Record<string, string>[] = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: `http://${host}` },
    { origin: `https://${host}`, 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ];
  for (const headers of foreign) {
    const { status, body } = await drain(headers);
    assert.is(status, 403, JSON.stringify([headers, body]));
    assert.match(JSON.stringify(body), 'what pages of other hosts ask');
    const feed = await askBy(running, alice, '/v1/farm', { headers });
    assert.is(feed.status, 403);
    const socket = new WebSocket(webSocketUrl(running.url, '/v1/client/context?link=abcdefgh'), {
      ...running.trust,
      ...shows(alice),
      headers,
    });
    socket.on('error', () => {});
    const [, answer] = await once(socket, 'unexpected-response');
    assert.is(answer.statusCode, 403, JSON.stringify(headers));
    socket.terminate();
  }
});

test('a user that was removed is out within five seconds, whatever its certificate has open', async () => {
  await using authority = await testAuthority();
  await using running = await joinableCoordinator();
  const alice = await authority.sign('DNS:x');
  await addUser(running, 'alice', { role: 'build', certificate: alice.certificate });
  const how = { ...running.trust, ...shows(alice) };
  const outgoing = get(new URL('/v1/farm', running.url), { agent: false, ...how });
  outgoing.on('error', () => {});
  const [feed]: IncomingMessage[] = await once(outgoing, 'response');
  if (feed === undefined) throw new Error('no answer');
  feed.on('error', () => {}).resume();
  const socket = await running.connect('/v1/client/context', { link: 'abcdefgh' }, shows(alice));
  const start = performance.now();
  assert.is((await running.ask('/v1/users/alice', { method: 'DELETE' })).status, 204);
  assert.match(await nameBy(running, alice), 'the certificate is that of no user');
  await until(() => feed.destroyed && socket.readyState === WebSocket.CLOSED);
  assert.ok(performance.now() - start < 5000);
});

test('certificates count after a restart too, and are not in what the coordinator says of users', async () => {
  await using directory = await temporaryDirectory();
  await using authority = await testAuthority();
  const alice = await authority.sign('DNS:x');
  {
    await using running = await joinableCoordinator({}, { data: directory.path });
    await addUser(running, 'alice', { certificate: alice.certificate });
  }
  await using running = await joinableCoordinator({}, { data: directory.path });
  assert.is(await nameBy(running, alice), 'alice');
  const { body } = await running.ask('/v1/users', bearer(testToken));
  assert.not.match(JSON.stringify(body), 'BEGIN');
});

test.run();

/** Who an agent is: as its certificate says, and nobody else. */
import { writeFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CertificateWatch } from '../../../agent/certificate-watch.ts';
import { trustWith } from '../../../agent/certificate.ts';
import { silentLogger } from '../../../shared/log.ts';
import { closeCodes } from '../../../shared/messages.ts';
import type { TlsTrust } from '../../../shared/trust.ts';
import { testAuthority, type TestAuthority } from '../../support/certificates.ts';
import { joinableCoordinator, joinAs, refusalIn, refusalOf } from '../../support/joined-agent.ts';
import { testToken, type RunningCoordinator } from '../../support/running-coordinator.ts';
import { submitBuild } from '../../support/submitted-build.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import { closeOf } from '../../support/web-sockets.ts';

async function shownOf(running: RunningCoordinator, build: string): Promise<string> {
  return JSON.stringify((await running.ask(`/v1/builds/${build}`)).body);
}

test('an agent is who its certificate says, and nobody else comes in under its name', async () => {
  await using running = await joinableCoordinator({}, { tokenAgents: true });
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
  assert.match(refusalIn(again), 'agent pi-01 has joined already');
  const owner = await running.agent({}, trust);
  await owner.wait('welcome');
  const byToken = await running.agent({ name: 'small', session: 'small-session' });
  await byToken.wait('welcome');
});

test('with one agent that has joined, the shared token is for clients alone', async () => {
  await using running = await joinableCoordinator();
  await joinAs(running, 'pi-01');
  for (const path of ['/v1/agent', '/v1/agent/context', '/v1/agent/ssh']) {
    const { status, text } = await refusalOf(running, path, { token: testToken });
    assert.is(status, 403);
    assert.match(text, /by certificate, and no more with its token.*--token-agents/);
  }
  assert.is((await running.ask('/v1/agents')).status, 200);
});

test('when the first agent joins, those with the token are told to join and hung up on, and their work goes on elsewhere', async () => {
  await using running = await joinableCoordinator();
  const before = await running.agent({ name: 'small', session: 'small-session' });
  await before.wait('welcome');
  const contents = await running.connect('/v1/agent/context', { agent: 'small' });
  const build = await submitBuild(running, { platforms: ['linux/arm64/v8'] });
  const { attempt } = await before.wait('offer');
  before.send({ type: 'accept', attempt });
  await until(async () => (await shownOf(running, build)).includes('running'));
  const closed = Promise.all([closeOf(before.socket), closeOf(contents)]);
  const joined = await running.agent({}, await joinAs(running, 'pi-01'));
  const [{ code, reason }] = await closed;
  assert.is(code, closeCodes.certificate);
  assert.match(reason, /by certificate now: archfarm agents add NAME, or serve --token-agents$/);
  assert.match((await before.wait('cancel')).reason, 'by certificate now');
  assert.match((await joined.wait('offer')).attempt, build);
  assert.match(await shownOf(running, build), 'agent small was sent away: agents join');
  assert.is(running.warnings.filter((line) => line.includes('an agent may not stay')).length, 1);
});

test('with --token-agents those with the token stay when others join, but for one whose name has a certificate now', async () => {
  await using running = await joinableCoordinator({}, { tokenAgents: true });
  const small = await running.agent({ name: 'small', session: 'small-session' });
  const namesake = await running.agent();
  await Promise.all([small.wait('welcome'), namesake.wait('welcome')]);
  const closed = closeOf(namesake.socket);
  const joined = await running.agent({ session: 'joined-session' }, await joinAs(running, 'pi-01'));
  await joined.wait('welcome');
  assert.is((await closed).code, closeCodes.certificate);
  small.send({ type: 'beat', state: 'ready' });
  await small.wait('beat');
});

test('certificates that have expired, or are of another authority, are refused with that reason', async () => {
  await using running = await joinableCoordinator({ certificate: 1000 });
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
  assert.match(foreign.text, 'for an agent of an authority that is not trusted');
  const api = await running.ask('/v1/agents', { trust: { cert: certificate, key } });
  assert.is(api.status, 200, 'browsers show some certificate beside the token of their user');
  const beside = await refusalOf(running, '/v1/agent', {
    trust: { cert: certificate, key },
    token: testToken,
  });
  assert.is(beside.status, 403, 'a token beside it makes no agent of it');
});

test('certificates of an authority of our own choice count by their common name, and can be taken away', async () => {
  await using authority = await testAuthority();
  await using running = await joinableCoordinator({}, { clientCa: authority.file });
  const sign = async (commonName: string, expired = false): Promise<TlsTrust> => {
    const { certificate, key } = await authority.sign('DNS:x', { commonName, expired });
    return { cert: certificate, key };
  };
  // Browsers show whatever certificate there is of an authority that is asked for.
  const shown = await running.ask('/v1/whoami', { trust: await sign('alice') });
  assert.is(shown.status, 200);
  const byToken = await running.agent({ name: 'by-token' });
  await byToken.wait('welcome');

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

test('an authority and a certificate that are replaced count from the next connection on, and nobody is hung up on', async () => {
  await using former = await testAuthority();
  await using latter = await testAuthority();
  await using directory = await temporaryDirectory();
  const clientCa = `${directory.path}/ca.crt`;
  const at = { certificate: `${directory.path}/agent.crt`, key: `${directory.path}/agent.key` };
  const show = async (authority: TestAuthority): Promise<void> => {
    const { certificate, key } = await authority.sign('DNS:x', { commonName: 'pi-01' });
    await writeFile(at.key, key);
    await writeFile(at.certificate, certificate);
  };
  await writeFile(clientCa, former.certificate);
  await show(former);
  await using running = await joinableCoordinator({}, { clientCa });
  const trust = trustWith({}, { files: at, isOwn: false });
  const stop = new AbortController();
  const changed = new Promise<void>((resolve) => {
    const watch = new CertificateWatch({
      coordinator: running.url,
      trust,
      files: at,
      data: undefined,
      interval: 50,
      log: silentLogger,
      changed: resolve,
    });
    void watch.run(stop.signal);
  });
  using _stop = { [Symbol.dispose]: () => stop.abort() };
  const agent = await running.agent({}, trust());
  await agent.wait('welcome');
  const old = trust();
  await writeFile(clientCa, latter.certificate);
  await show(latter);
  await changed;
  agent.send({ type: 'beat', state: 'ready' });
  await agent.wait('beat');
  // The coordinator looks once a second.
  const next = await until(() => running.agent({}, trust()).catch(() => undefined), { timeout: 30_000 });
  await next.wait('welcome');
  assert.match(
    (await refusalOf(running, '/v1/agent', { trust: old })).text,
    'an authority that is not trusted',
  );
  next.send({ type: 'beat', state: 'ready' });
  await next.wait('beat');
});

test('of two live processes with one identity one is connected at any time, and nobody flaps', async () => {
  await using running = await joinableCoordinator();
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
  await using running = await joinableCoordinator({ suspect: 30 });
  const trust = await joinAs(running, 'pi-01');
  const first = await running.agent({ session: 'first-session' }, trust);
  await first.wait('welcome');
  await until(async () => JSON.stringify((await running.ask('/v1/agents')).body).includes('suspect'));
  const second = await running.agent({ session: 'second-session' }, trust);
  await second.wait('welcome');
});

test.run();

/** Hosts that join: what a token is good for, and who is believed to be the coordinator. */
import { chown, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { newSigningRequest } from '../../../agent/signing-request.ts';
import { join } from '../../../agent/join.ts';
import { formatJoinToken, type JoinToken } from '../../../shared/join-token.ts';
import { testAuthority } from '../../support/certificates.ts';
import { failureOf } from '../../support/failure.ts';
import type { HttpAnswer } from '../../support/http-request.ts';
import {
  invite,
  joinableCoordinator,
  refusalIn,
  startListener,
  useToken,
} from '../../support/joined-agent.ts';
import { runningCoordinator, type RunningCoordinator } from '../../support/running-coordinator.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

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

test('of a thousand uses of one token at once just one brings a certificate, and the others are noticed', async () => {
  await using running = await joinableCoordinator();
  const token = await invite(running, 'pi-01');
  const { request } = newSigningRequest();
  const uses = Array.from({ length: 1000 }, () => useOnce(running, token, request));
  // On a busy machine some are hung up on before their turn: whoever is not known yet has 5 s.
  const answers = (await Promise.allSettled(uses)).flatMap((use) =>
    use.status === 'fulfilled' ? [use.value] : [],
  );
  const refused = answers.filter(({ status }) => status === 401).length;
  assert.equal([answers.length - refused, answers.find(({ status }) => status !== 401)?.status], [1, 200]);
  assert.ok(refused > 0);
  assert.ok(running.warnings.filter((line) => line.includes('join-token-reused')).length >= refused);
  assert.match(refusalIn(await useOnce(running, token, request)), 'has been used already');
});

test('a token is good for its time, its coordinator and a request that proves its key', async () => {
  await using data = await temporaryDirectory();
  {
    await using running = await joinableCoordinator({ joinToken: -1 }, { data: data.path });
    const late = await useOnce(running, await invite(running, 'pi-01'), newSigningRequest().request);
    assert.equal([late.status, refusalIn(late)], [401, 'the token to join with has expired']);
  }
  let token: JoinToken;
  {
    await using running = await joinableCoordinator({}, { data: data.path });
    const superseded = await invite(running, 'pi-01');
    token = await invite(running, 'pi-01');
    const { request } = newSigningRequest();
    for (const other of [superseded, { ...token, secret: 'A'.repeat(32) }])
      assert.match(refusalIn(await useOnce(running, other, request)), 'knows no such token');
    const broken = withLastByteFlipped(request);
    for (const bad of [broken, 'no request', '']) assert.is((await useOnce(running, token, bad)).status, 400);
    assert.is((await useOnce(running, { pin: '', secret: '' }, request)).status, 401);
    const files = await readFile(`${data.path}/archfarm.db`);
    assert.not(files.includes(token.secret), 'what is stored is its hash');
  }
  // Also after a restart, and after what was wrong with it.
  await using running = await joinableCoordinator({}, { data: data.path });
  const agent = await running.agent({}, await useToken(running, token));
  await agent.wait('welcome');
});

test('somebody in between with another authority gets no byte of the secret', async () => {
  await using running = await joinableCoordinator();
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

test('a token is still good when root was refused a link in the place of the identity', async () => {
  await using running = await joinableCoordinator();
  await using data = await temporaryDirectory();
  const token = formatJoinToken(await invite(running, 'pi-01'));
  const options = { data: data.path, ca: undefined, signal: AbortSignal.timeout(20_000) };
  await chown(data.path, 65_534, 65_534);
  await symlink('/', `${data.path}/identity`);
  const refused = await failureOf(join({ ...options, address: running.url.href, token }));
  assert.match(refused.message, `${data.path}/identity is a link`);
  await rm(`${data.path}/identity`);
  assert.is(await join({ ...options, address: running.url.href, token }), 'pi-01');
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

test.run();

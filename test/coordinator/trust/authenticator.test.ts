import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { Socket } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Authenticator } from '../../../coordinator/trust/authenticator.ts';
import type { JoinedAgent, Principal, User } from '../../../coordinator/trust/principal.ts';

const alice: User = { type: 'user', name: 'alice', role: 'build', repositories: [] };
const pi: JoinedAgent = { type: 'agent', name: 'pi-01', repositories: [], fingerprint: 'f' };
const aliceHash = createHash('sha256').update('alices-token').digest('hex');

function identify(
  options: { token?: string; onlyHere?: boolean; agent?: JoinedAgent },
  headers: IncomingHttpHeaders,
): Principal | undefined {
  const { token, onlyHere = false, agent } = options;
  const authenticator = new Authenticator({
    token,
    onlyHere,
    userOf: (hash) => (hash === aliceHash ? alice : undefined),
    agentOf: () => agent,
  });
  return authenticator.identify(headers, new Socket());
}

const bearer = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` });

test('a token says who one is', () => {
  const shared = { token: 'shared' };
  assert.equal(identify(shared, bearer('shared')), { type: 'token' });
  assert.equal(identify(shared, bearer('alices-token')), alice);
  assert.equal(identify({}, bearer('alices-token')), alice);
  for (const token of ['', 'share', 'shared2', aliceHash])
    assert.is(identify(shared, bearer(token)), undefined);
  assert.is(identify(shared, { authorization: 'Basic shared' }), undefined);
  assert.is(identify(shared, {}), undefined);
});

test('without a shared token whoever is on this machine may come without one, by its own names alone', () => {
  const here = { onlyHere: true };
  for (const host of ['127.0.0.1:7480', 'localhost:7480', '[::1]:7480', 'localhost'])
    assert.equal(identify(here, { host }), { type: 'machine' }, host);
  for (const host of ['evil.example:7480', 'localhost.evil.example', ''])
    assert.is(identify(here, { host }), undefined, host);
  assert.is(identify({ onlyHere: false }, { host: '127.0.0.1' }), undefined);
  assert.is(identify({ onlyHere: true, token: 'shared' }, { host: '127.0.0.1' }), undefined);
});

test('whoever comes through a proxy is not on this machine, though the proxy is', () => {
  const host = '127.0.0.1:7480';
  for (const name of ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-proto', 'x-real-ip']) {
    assert.is(identify({ onlyHere: true }, { host, [name]: '127.0.0.1' }), undefined, name);
    assert.equal(identify({ onlyHere: true }, { host, [name]: '::1', ...bearer('alices-token') }), alice);
  }
});

test('a token that counts no more is not made good by being on this machine', () => {
  const host = '127.0.0.1:7480';
  assert.equal(identify({ onlyHere: true }, { host, ...bearer('alices-token') }), alice);
  assert.is(identify({ onlyHere: true }, { host, ...bearer('revoked') }), undefined);
});

test('a certificate says who one is, and a web page is nobody', () => {
  assert.equal(identify({ token: 'shared', agent: pi }, {}), pi);
  const origin = 'https://evil.example';
  assert.is(identify({ token: 'shared', agent: pi }, { origin, ...bearer('shared') }), undefined);
});

test.run();

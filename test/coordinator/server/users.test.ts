/** What users may do with what is theirs, and what is kept of them. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { WebSocket } from 'ws';
import { webSocketUrl } from '../../../shared/address.ts';
import { closeCodes } from '../../../shared/messages.ts';
import { runningCoordinator, testToken, type RunningCoordinator } from '../../support/running-coordinator.ts';
import { directories } from '../../support/submitted-builds.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import {
  addUser,
  askAs,
  assertForbidden,
  begin,
  onap,
  ownRequests,
  specOf,
  submit,
  upgrade,
} from '../../support/user-requests.ts';

const rowsSchema = v.object({ rows: v.array(v.object({ entry: v.string() })) });

async function auditOf(running: RunningCoordinator): Promise<Record<string, unknown>[]> {
  const { body } = await askAs(running, ['GET', '/v1/audit'], testToken);
  return v.parse(rowsSchema, body).rows.map(({ entry }): Record<string, unknown> => JSON.parse(entry));
}

test('whose build it is decides who may do what with it, and its submitter is no matter of what a client says', async () => {
  await using running = await runningCoordinator();
  const alice = await addUser(running, 'alice', { role: 'build' });
  const bob = await addUser(running, 'bob', { role: 'build' });
  const build = await submit(running, alice);
  const posing = { spec: specOf(), client: 'alice', idempotencyKey: 'the-same-key' };
  const posed = await askAs(running, ['POST', '/v1/builds', posing], bob);
  const { build: bobs } = v.parse(v.object({ build: v.string() }), posed.body);
  const shown = await askAs(running, ['GET', `/v1/builds/${bobs}`], alice);
  assert.is(v.parse(v.object({ client: v.string() }), shown.body).client, 'bob');
  // A key is one's own: the same one of somebody else leads to no build of theirs.
  const same = await askAs(running, ['POST', '/v1/builds', posing], alice);
  assert.is.not(v.parse(v.object({ build: v.string() }), same.body).build, bobs);

  for (const [verb, [method, path, body]] of Object.entries(ownRequests)) {
    const answer = await askAs(running, [method, path.replace('BUILD', build), body], bob);
    assertForbidden(answer, ['user bob', `${build} is a build of alice`, 'role admin'], verb);
  }
  for (const path of ['/v1/client/context', '/v1/client/ssh']) {
    const query = `?build=${build}&link=abcdefgh&ids=default`;
    assert.is(await upgrade(running, `${path}${query}`, bob), 403, path);
    assert.is(await upgrade(running, `${path}${query}`, alice), 101, path);
  }
  assert.is((await askAs(running, ['PUT', `/v1/builds/${build}/secrets`, {}], alice)).status, 204);
  assert.is((await askAs(running, ['POST', `/v1/builds/${build}/cancel`], alice)).status, 202);
  const ended = await until(async () => {
    const { body } = await askAs(running, ['GET', `/v1/builds/${build}`], bob);
    const result = v.parse(
      v.object({ status: v.string(), error: v.optional(v.object({ message: v.string() })) }),
      body,
    );
    return result.status === 'cancelled' && result;
  });
  assert.is(ended.error?.message, 'cancelled by alice');
});

test('whoever has the shared token is no user by calling itself one', async () => {
  await using running = await runningCoordinator();
  const alice = await addUser(running, 'alice', { role: 'build' });
  const names = new Map([
    ['alice', 'alice@127.0.0.1'],
    ['the shared token', 'the shared token@127.0.0.1'],
    ['alice@laptop', 'alice@laptop'],
  ]);
  for (const [client, known] of names) {
    const { body } = await askAs(
      running,
      ['POST', '/v1/builds', { spec: specOf(), directories, client }],
      testToken,
    );
    const { build } = v.parse(v.object({ build: v.string() }), body);
    const shown = await askAs(running, ['GET', `/v1/builds/${build}`], alice);
    assert.is(v.parse(v.object({ client: v.string() }), shown.body).client, known);
    const cancel = await askAs(running, ['POST', `/v1/builds/${build}/cancel`], alice);
    assertForbidden(cancel, [`is a build of ${known}`], client);
  }
});

test('what builds of others show is not enough to have their contents built', async () => {
  await using running = await runningCoordinator();
  const alice = await addUser(running, 'alice', { role: 'build', repositories: ['localhost:5000/onap'] });
  const bob = await addUser(running, 'bob', { role: 'build', repositories: ['localhost:5000/bob'] });
  const build = await submit(running, alice);
  const shown = JSON.stringify((await askAs(running, ['GET', `/v1/builds/${build}`], bob)).body);
  const [digest] = shown.match(/sha256:[0-9a-f]{64}/) ?? [];
  assert.ok(digest);
  assert.is(shown.split('sha256:').length, 2, 'no other digest is shown');
  const context = { root: digest, name: 'c', files: 1, bytes: 1 };
  const spec = { ...specOf('localhost:5000/bob/taken:1'), context };
  const { status, body } = await askAs(running, ['POST', '/v1/builds', { spec }], bob);
  assert.is.not(status, 201);
  assert.match(JSON.stringify(body), 'client-gone');
  const again = await submit(running, alice);
  assert.match(JSON.stringify((await askAs(running, ['GET', `/v1/builds/${again}`], bob)).body), digest);
});

test('every tag of a build must lie where its user may publish, also of one that goes on from it', async () => {
  await using running = await runningCoordinator();
  const wide = await addUser(running, 'alice', { role: 'build' });
  const build = await submit(running, wide, 'localhost:5000/other/app:1');
  await askAs(running, ['POST', `/v1/builds/${build}/cancel`], wide);
  await askAs(running, ['DELETE', '/v1/users/alice'], testToken);
  const alice = await addUser(running, 'alice', { role: 'build', repositories: ['localhost:5000/onap/'] });

  const outside = [
    'localhost:5000/other/app:1',
    'localhost:5000/onap-other/app',
    'onap/app',
    'localhost:5001/onap/app',
  ];
  const words = ['user alice', 'localhost:5000/onap'];
  const proof = { timeout: 1000, network: false, platforms: [], allowEmulation: false, waitAgent: 0 };
  for (const tag of outside) {
    const both = { ...specOf(), tags: [onap, tag] };
    assertForbidden(
      await askAs(running, ['POST', '/v1/builds', { spec: both }], alice),
      [...words, tag],
      tag,
    );
    const plan = { platforms: [], allowEmulation: false, tags: [onap, tag] };
    assertForbidden(await askAs(running, ['POST', '/v1/plan', plan], alice), [...words, tag], tag);
    const verify = { ...proof, reference: tag };
    assertForbidden(await askAs(running, ['POST', '/v1/verify', verify], alice), [...words, tag], tag);
  }
  const plan = { platforms: [], allowEmulation: false, tags: [onap] };
  assert.is((await askAs(running, ['POST', '/v1/plan', plan], alice)).status, 200);
  assert.is((await askAs(running, ['POST', '/v1/verify', { ...proof, reference: onap }], alice)).status, 404);
  await submit(running, alice);

  const again = await askAs(running, ['POST', `/v1/builds/${build}/retry`, {}], alice);
  assertForbidden(again, [...words, 'localhost:5000/other/app:1'], 'retry');
});

test('a user that was removed is out within five seconds, with all that it had open', async () => {
  await using running = await runningCoordinator();
  const alice = await addUser(running, 'alice', { role: 'build' });
  const bob = await addUser(running, 'bob', { role: 'read' });
  const build = await submit(running, alice);
  const follow = async (token: string): Promise<IncomingMessage> => {
    const answer = await begin(new URL(`/v1/builds/${build}/events?follow=1`, running.url), token);
    return answer.resume();
  };
  const open = async (path: string): Promise<{ code: number | undefined }> => {
    const headers = { authorization: `Bearer ${alice}` };
    const socket = new WebSocket(webSocketUrl(running.url, path), { headers });
    const state: { code: number | undefined } = { code: undefined };
    socket.on('error', () => {});
    socket.on('close', (code) => (state.code = code));
    await once(socket, 'open');
    return state;
  };
  const [mine, other] = [await follow(alice), await follow(bob)];
  const sockets = [
    await open('/v1/client/context?link=abcdefgh'),
    await open(`/v1/client/context?link=ijklmnop&build=${build}`),
    await open(`/v1/client/ssh?build=${build}&ids=default`),
  ];
  const start = performance.now();
  assert.is((await askAs(running, ['DELETE', '/v1/users/alice'], testToken)).status, 204);
  assert.is((await askAs(running, ['GET', '/v1/builds'], alice)).status, 401);
  await until(() => mine.destroyed && sockets.every(({ code }) => code !== undefined));
  const took = performance.now() - start;
  assert.ok(took < 5000, `${took} ms`);
  for (const { code } of sockets) assert.is(code, closeCodes.revoked);
  assert.not.ok(other.destroyed);
  other.destroy();
  assert.is((await askAs(running, ['DELETE', '/v1/users/alice'], testToken)).status, 404);
});

test('what is kept of a token is its hash, and the audit says what was done without it', async () => {
  await using directory = await temporaryDirectory();
  const data = directory.path;
  await using running = await runningCoordinator({}, () => false, { data });
  const token = await addUser(running, 'alice', { role: 'admin', repositories: ['lab/onap'] });
  assert.match(token, /^afu_[\w-]{43}$/);
  await askAs(running, ['POST', '/v1/users', { name: 'alice', role: 'read' }], token);
  await askAs(running, ['DELETE', '/v1/users/bob'], `${token}x`);
  const build = await submit(running, token, 'lab/onap/x:1');
  await askAs(running, ['POST', `/v1/builds/${build}/cancel`], token);
  assert.is((await askAs(running, ['DELETE', '/v1/users/alice'], token)).status, 204);

  const entries = await auditOf(running);
  const told = entries.map(({ action, who, user }) =>
    [action, who, user].filter((word) => word !== undefined),
  );
  assert.equal(told, [
    ['add-user', 'the shared token', 'alice'],
    ['login-refused'],
    ['submit', 'alice'],
    ['cancel', 'alice'],
    ['remove-user', 'alice', 'alice'],
  ]);
  assert.equal(entries[2]?.['tags'], ['lab/onap/x:1']);
  assert.is(entries[3]?.['build'], build);
  assert.ok(entries.every(({ from }) => from === '127.0.0.1'));

  const hash = createHash('sha256').update(token).digest('hex');
  const files = await readdir(data, { recursive: true, withFileTypes: true });
  const contents = await Promise.all(
    files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name), 'latin1')),
  );
  assert.not.ok(contents.some((content) => content.includes(token.slice(4))));
  assert.ok(contents.some((content) => content.includes(hash)));
});

test('the audit says what a user had run of an image and which secrets came, but neither commands nor values', async () => {
  await using running = await runningCoordinator();
  const alice = await addUser(running, 'alice', { role: 'build' });
  const secrets = { token: Buffer.from('hunter2-hunter2').toString('base64') };
  const submitted = { spec: { ...specOf(), secrets: ['token'] }, secrets, directories };
  const { build } = v.parse(
    v.object({ build: v.string() }),
    (await askAs(running, ['POST', '/v1/builds', submitted], alice)).body,
  );
  await askAs(running, ['PUT', `/v1/builds/${build}/secrets`, secrets], alice);
  const proof = { reference: onap, timeout: 1000, network: false, platforms: [], allowEmulation: false };
  await askAs(running, ['POST', '/v1/verify', { ...proof, waitAgent: 0 }], alice);
  const command = ['cat', '/etc/hunter2'];
  await askAs(running, ['POST', '/v1/verify', { ...proof, waitAgent: 0, command }], alice);
  const entries = await auditOf(running);
  assert.equal(
    entries.slice(2).map(({ action, who, tags, what, build }) => ({ action, who, tags, what, build })),
    [
      { action: 'supply-secrets', who: 'alice', tags: undefined, what: 'token', build },
      { action: 'verify', who: 'alice', tags: [onap], what: 'without a command', build: undefined },
      { action: 'verify', who: 'alice', tags: [onap], what: 'with a command', build: undefined },
    ],
  );
  const told = JSON.stringify(entries);
  for (const word of ['hunter2', secrets.token]) assert.not.ok(told.includes(word), word);
});

test.run();

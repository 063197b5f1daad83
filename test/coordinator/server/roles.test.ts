import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { fastify } from 'fastify';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { WebSocket } from 'ws';
import { ContextUpload } from '../../../coordinator/cli/context-upload.ts';
import { addDashboard } from '../../../coordinator/server/dashboard.ts';
import { Guard } from '../../../coordinator/server/guard.ts';
import { Metrics } from '../../../coordinator/server/metrics/metrics.ts';
import { addRoutes } from '../../../coordinator/server/routes.ts';
import { doors } from '../../../coordinator/server/upgrade.ts';
import { access } from '../../../coordinator/trust/access.ts';
import { Authenticator } from '../../../coordinator/trust/authenticator.ts';
import { Connections } from '../../../coordinator/trust/connections.ts';
import { webSocketUrl } from '../../../shared/address.ts';
import { closeCodes } from '../../../shared/messages.ts';
import { sampleSpec } from '../../support/farm-fixtures.ts';
import type { HttpAnswer, HttpOptions } from '../../support/http-request.ts';
import { dir, memoryTree } from '../../support/memory-tree.ts';
import { runningCoordinator, testToken, type RunningCoordinator } from '../../support/running-coordinator.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';

const tree = memoryTree(dir(['Dockerfile', 'FROM scratch\n']));
const onap = 'localhost:5000/onap/py-app:latest';
const refusal = v.object({
  error: v.object({ code: v.string(), message: v.string(), hint: v.optional(v.string()) }),
});

function specOf(tag = onap): object {
  const root = { root: tree.root, name: 'c' };
  return sampleSpec({ tags: [tag], context: { ...root, files: 1, bytes: 1 }, dockerfile: root });
}

async function ask(
  running: RunningCoordinator,
  [method, path, body]: readonly [method: string, path: string, body?: unknown],
  token: string | undefined,
): Promise<HttpAnswer> {
  const options: HttpOptions = {
    method,
    body,
    headers: { authorization: token === undefined ? '' : `Bearer ${token}` },
  };
  return running.ask(path, options);
}

async function addUser(
  running: RunningCoordinator,
  name: string,
  { role, repositories = [] }: { role: string; repositories?: readonly string[] },
): Promise<string> {
  const { status, body } = await ask(running, ['POST', '/v1/users', { name, role, repositories }], testToken);
  assert.is(status, 201, JSON.stringify(body));
  return v.parse(v.object({ token: v.string() }), body).token;
}

/** A build that is queued, since nobody builds here. */
async function submit(running: RunningCoordinator, token: string, tag = onap): Promise<string> {
  const link = randomBytes(12).toString('base64url');
  const upload = new ContextUpload({ coordinator: running.url, token, link, source: tree });
  try {
    const { status, body } = await ask(running, ['POST', '/v1/builds', { spec: specOf(tag), link }], token);
    assert.is(status, 201, JSON.stringify(body));
    return v.parse(v.object({ build: v.string() }), body).build;
  } finally {
    await upload.close();
  }
}

/** The status of the answer to an upgrade; 101 for a socket, which is closed again. */
async function upgrade(
  running: RunningCoordinator,
  path: string,
  token: string | undefined,
): Promise<number> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const socket = new WebSocket(webSocketUrl(running.url, path), { headers });
  socket.on('error', () => {});
  return new Promise((resolve) => {
    socket.once('unexpected-response', (_request, answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    socket.once('open', () => {
      socket.terminate();
      resolve(101);
    });
  });
}

function assertForbidden({ status, body }: HttpAnswer, words: readonly string[], what: string): void {
  assert.is(status, 403, `${what}: ${JSON.stringify(body)}`);
  const { error } = v.parse(refusal, body);
  assert.is(error.code, 'forbidden');
  for (const word of words) assert.ok(error.message.includes(word), `${what}: ${error.message}`);
  assert.ok(error.hint);
}

/** For each verb a request that does no harm where it is let in; BUILD stands for a build of somebody else. */
const requests: Record<string, readonly [method: string, path: string, body?: unknown]> = {
  dashboard: ['GET', '/'],
  health: ['GET', '/healthz'],
  version: ['GET', '/v1/version'],
  whoami: ['GET', '/v1/whoami'],
  'list-builds': ['GET', '/v1/builds'],
  'show-build': ['GET', '/v1/builds/BUILD'],
  'read-log': ['GET', '/v1/builds/BUILD/events'],
  'find-path': ['GET', `/v1/builds/BUILD/path?digest=sha256:${'0'.repeat(64)}`],
  'find-publisher': ['GET', '/v1/publisher?reference=lab/x'],
  'list-agents': ['GET', '/v1/agents'],
  'show-store': ['GET', '/v1/store'],
  'read-metrics': ['GET', '/metrics'],
  submit: ['POST', '/v1/builds', {}],
  plan: ['POST', '/v1/plan', {}],
  verify: ['POST', '/v1/verify', {}],
  'add-agent': ['POST', '/v1/agents', {}],
  'drain-agent': ['POST', '/v1/agents/nobody/drain'],
  'resume-agent': ['POST', '/v1/agents/nobody/resume'],
  'remove-agent': ['DELETE', '/v1/agents/nobody'],
  'list-users': ['GET', '/v1/users'],
  'add-user': ['POST', '/v1/users', {}],
  'remove-user': ['DELETE', '/v1/users/nobody'],
  'read-audit': ['GET', '/v1/audit'],
};
/** What needs a build of one's own, or the role admin. */
const ownRequests: Record<string, readonly [method: string, path: string, body?: unknown]> = {
  'supply-secrets': ['PUT', '/v1/builds/BUILD/secrets', {}],
  complete: ['POST', '/v1/builds/BUILD/complete'],
  retry: ['POST', '/v1/builds/BUILD/retry', {}],
  amend: ['POST', '/v1/builds/BUILD/amend', { platforms: ['linux/s390x'] }],
  cancel: ['POST', '/v1/builds/BUILD/cancel'],
};

/** What hosts ask for, by what they were given to join with, and then by their certificate. */
const hostRequests: Record<string, readonly [method: string, path: string, body?: unknown]> = {
  'get-certificate': ['POST', '/v1/join', {}],
  'renew-certificate': ['POST', '/v1/agent/renew', {}],
};

/** Answers without an end. */
const feeds: Record<string, string> = { 'watch-farm': '/v1/farm' };

/** The answer as soon as its headers are there. */
async function begin(url: URL, token: string | undefined): Promise<IncomingMessage> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const outgoing = request(url, { agent: false, headers });
  outgoing.on('error', () => {});
  outgoing.end();
  const [answer]: IncomingMessage[] = await once(outgoing, 'response');
  if (answer === undefined) throw new Error('no answer');
  answer.on('error', () => {});
  return answer;
}

async function statusOfFeed(url: URL, token: string | undefined): Promise<number | undefined> {
  const answer = await begin(url, token);
  answer.destroy();
  return answer.statusCode;
}

const rank: Readonly<Record<string, number>> = { anybody: -2, known: -1, read: 0, build: 1, admin: 2 };

test('every route has a verb, every verb a route or a socket, and this matrix has them all', async () => {
  const app = fastify();
  const found: string[] = [];
  app.addHook('onRoute', ({ config }) => void found.push(config?.verb ?? 'none'));
  const guard = new Guard({
    authenticator: new Authenticator({ token: 'x', onlyHere: false }),
    connections: new Connections(),
    refusals: { note: () => {} },
    admitted: () => {},
  });
  const parts = Object.create(null);
  addRoutes(app, { ...parts, guard, actions: Object.create(null), metrics: Object.create(null) });
  addDashboard(app);
  await app.ready();
  assert.not.ok(found.includes('none'));
  const covered = [requests, ownRequests, hostRequests, feeds].flatMap(Object.keys);
  assert.equal([...new Set(found)].toSorted(), covered.toSorted());
  const all = [...covered, ...new Set(Object.values(doors))];
  assert.equal(all.toSorted(), Object.keys(access).toSorted());
  const forgetful = fastify();
  guard.watch(forgetful);
  assert.throws(() => forgetful.get('/v1/forgotten', () => ''), /GET \/v1\/forgotten has no verb/);
});

test('each role may do just what it is for, over HTTP and WebSocket', async () => {
  using metrics = new Metrics();
  await using running = await runningCoordinator({}, () => false, { metrics });
  const tokens: Record<string, string> = {};
  for (const role of ['read', 'build', 'admin'])
    tokens[role] = await addUser(running, `a-${role}-er`, { role });
  const build = await submit(running, testToken);
  const named = ([method, path, body]: readonly [string, string, unknown?]): readonly [
    string,
    string,
    unknown?,
  ] => [method, path.replace('BUILD', build), body];

  for (const [verb, line] of Object.entries({ ...requests, ...ownRequests })) {
    const needs = Object.entries(access).find(([key]) => key === verb)?.[1].needs ?? 'none';
    for (const token of [undefined, 'wrong', 'afu_wrong']) {
      const { status } = await ask(running, named(line), token);
      assert.is(status, needs === 'anybody' ? 200 : 401, `${verb} with ${token}`);
    }
    for (const [role, token] of Object.entries(tokens)) {
      const answer = await ask(running, named(line), token);
      const needed = verb in ownRequests ? 'admin' : needs;
      if ((rank[role] ?? 0) >= (rank[needed] ?? 9)) {
        assert.not.ok(
          [401, 403].includes(answer.status),
          `${verb} as ${role}: ${JSON.stringify(answer.body)}`,
        );
      } else {
        const takes = role === 'build' ? needed : needs;
        assertForbidden(answer, [`a-${role}-er`, `role ${role}`, `role ${takes}`], `${verb} as ${role}`);
      }
    }
    const { status } = await ask(running, named(line), testToken);
    assert.not.ok([401, 403].includes(status), `${verb} with the shared token: ${status}`);
  }

  for (const path of Object.values(feeds)) {
    const url = new URL(path, running.url);
    for (const token of [undefined, 'wrong']) assert.is(await statusOfFeed(url, token), 401, path);
    for (const token of [...Object.values(tokens), testToken])
      assert.is(await statusOfFeed(url, token), 200, path);
  }
  for (const [verb, line] of Object.entries(hostRequests)) {
    assert.is((await ask(running, line, undefined)).status, 401, verb);
    for (const token of [...Object.values(tokens), testToken]) {
      const { status } = await ask(running, line, token);
      assert.ok(status === 400 || status === 403, `${verb}: ${status}`);
    }
  }
  for (const [path, verb] of Object.entries(doors)) {
    const { needs } = access[verb];
    assert.is(await upgrade(running, path, undefined), 401, path);
    for (const [role, token] of Object.entries(tokens)) {
      const isIn = needs !== 'agent' && (rank[role] ?? 0) >= (rank[needs] ?? 9);
      assert.is(await upgrade(running, path, token), isIn ? 101 : 403, `${path} as ${role}`);
    }
    // No build asks for an ssh agent here.
    assert.is(await upgrade(running, path, testToken), verb === 'use-ssh' ? 404 : 101, path);
  }
});

test('whose build it is decides who may do what with it, and its submitter is no matter of what a client says', async () => {
  await using running = await runningCoordinator();
  const alice = await addUser(running, 'alice', { role: 'build' });
  const bob = await addUser(running, 'bob', { role: 'build' });
  const build = await submit(running, alice);
  const posing = { spec: specOf(), client: 'alice', idempotencyKey: 'the-same-key' };
  const posed = await ask(running, ['POST', '/v1/builds', posing], bob);
  const { build: bobs } = v.parse(v.object({ build: v.string() }), posed.body);
  const shown = await ask(running, ['GET', `/v1/builds/${bobs}`], alice);
  assert.is(v.parse(v.object({ client: v.string() }), shown.body).client, 'bob');
  // A key is one's own: the same one of somebody else leads to no build of theirs.
  const same = await ask(running, ['POST', '/v1/builds', posing], alice);
  assert.is.not(v.parse(v.object({ build: v.string() }), same.body).build, bobs);

  for (const [verb, [method, path, body]] of Object.entries(ownRequests)) {
    const answer = await ask(running, [method, path.replace('BUILD', build), body], bob);
    assertForbidden(answer, ['user bob', `${build} is a build of alice`, 'role admin'], verb);
  }
  for (const path of ['/v1/client/context', '/v1/client/ssh']) {
    const query = `?build=${build}&link=abcdefgh&ids=default`;
    assert.is(await upgrade(running, `${path}${query}`, bob), 403, path);
    assert.is(await upgrade(running, `${path}${query}`, alice), 101, path);
  }
  assert.is((await ask(running, ['PUT', `/v1/builds/${build}/secrets`, {}], alice)).status, 204);
  assert.is((await ask(running, ['POST', `/v1/builds/${build}/cancel`], alice)).status, 202);
  const ended = await until(async () => {
    const { body } = await ask(running, ['GET', `/v1/builds/${build}`], bob);
    const result = v.parse(
      v.object({ status: v.string(), error: v.optional(v.object({ message: v.string() })) }),
      body,
    );
    return result.status === 'cancelled' && result;
  });
  assert.is(ended.error?.message, 'cancelled by alice');
});

test('every tag of a build must lie where its user may publish, also of one that goes on from it', async () => {
  await using running = await runningCoordinator();
  const wide = await addUser(running, 'alice', { role: 'build' });
  const build = await submit(running, wide, 'localhost:5000/other/app:1');
  await ask(running, ['POST', `/v1/builds/${build}/cancel`], wide);
  await ask(running, ['DELETE', '/v1/users/alice'], testToken);
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
    assertForbidden(await ask(running, ['POST', '/v1/builds', { spec: both }], alice), [...words, tag], tag);
    const plan = { platforms: [], allowEmulation: false, tags: [onap, tag] };
    assertForbidden(await ask(running, ['POST', '/v1/plan', plan], alice), [...words, tag], tag);
    const verify = { ...proof, reference: tag };
    assertForbidden(await ask(running, ['POST', '/v1/verify', verify], alice), [...words, tag], tag);
  }
  const plan = { platforms: [], allowEmulation: false, tags: [onap] };
  assert.is((await ask(running, ['POST', '/v1/plan', plan], alice)).status, 200);
  assert.is((await ask(running, ['POST', '/v1/verify', { ...proof, reference: onap }], alice)).status, 404);
  await submit(running, alice);

  const again = await ask(running, ['POST', `/v1/builds/${build}/retry`, {}], alice);
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
  assert.is((await ask(running, ['DELETE', '/v1/users/alice'], testToken)).status, 204);
  assert.is((await ask(running, ['GET', '/v1/builds'], alice)).status, 401);
  await until(() => mine.destroyed && sockets.every(({ code }) => code !== undefined));
  const took = performance.now() - start;
  assert.ok(took < 5000, `${took} ms`);
  for (const { code } of sockets) assert.is(code, closeCodes.revoked);
  assert.not.ok(other.destroyed);
  other.destroy();
  assert.is((await ask(running, ['DELETE', '/v1/users/alice'], testToken)).status, 404);
});

test('what is kept of a token is its hash, and the audit says what was done without it', async () => {
  await using directory = await temporaryDirectory();
  const data = directory.path;
  await using running = await runningCoordinator({}, () => false, { data });
  const token = await addUser(running, 'alice', { role: 'admin', repositories: ['lab/onap'] });
  assert.match(token, /^afu_[\w-]{43}$/);
  await ask(running, ['POST', '/v1/users', { name: 'alice', role: 'read' }], token);
  await ask(running, ['DELETE', '/v1/users/bob'], `${token}x`);
  const build = await submit(running, token, 'lab/onap/x:1');
  await ask(running, ['POST', `/v1/builds/${build}/cancel`], token);
  assert.is((await ask(running, ['DELETE', '/v1/users/alice'], token)).status, 204);

  const rowsSchema = v.object({ rows: v.array(v.object({ entry: v.string() })) });
  const { body } = await ask(running, ['GET', '/v1/audit'], testToken);
  const entries = v
    .parse(rowsSchema, body)
    .rows.map(({ entry }): Record<string, unknown> => JSON.parse(entry));
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

test.run();

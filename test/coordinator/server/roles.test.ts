/** The whole matrix: what each role may do over HTTP and WebSocket. */
import { fastify } from 'fastify';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { addDashboard } from '../../../coordinator/server/dashboard.ts';
import { Guard } from '../../../coordinator/server/guard.ts';
import { Metrics } from '../../../coordinator/server/metrics/metrics.ts';
import { addRoutes } from '../../../coordinator/server/routes.ts';
import { doors } from '../../../coordinator/server/upgrade.ts';
import { access } from '../../../coordinator/trust/access.ts';
import { Authenticator } from '../../../coordinator/trust/authenticator.ts';
import { Connections } from '../../../coordinator/trust/connections.ts';
import { runningCoordinator, testToken } from '../../support/running-coordinator.ts';
import {
  addUser,
  askAs,
  assertForbidden,
  begin,
  ownRequests,
  submit,
  upgrade,
} from '../../support/user-requests.ts';

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

/** What hosts ask for, by what they were given to join with, and then by their certificate. */
const hostRequests: Record<string, readonly [method: string, path: string, body?: unknown]> = {
  'get-certificate': ['POST', '/v1/join', {}],
  'renew-certificate': ['POST', '/v1/agent/renew', {}],
};

/** Answers without an end. */
const feeds: Record<string, string> = { 'watch-farm': '/v1/farm' };

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
    worked: () => {},
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
  // Whoever completes the build waits for a client that is gone for good.
  await using running = await runningCoordinator({ lost: 1_000 }, () => false, { metrics });
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
      const { status } = await askAs(running, named(line), token);
      assert.is(status, needs === 'anybody' ? 200 : 401, `${verb} with ${token}`);
    }
    for (const [role, token] of Object.entries(tokens)) {
      const answer = await askAs(running, named(line), token);
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
    const { status } = await askAs(running, named(line), testToken);
    assert.not.ok([401, 403].includes(status), `${verb} with the shared token: ${status}`);
  }

  for (const path of Object.values(feeds)) {
    const url = new URL(path, running.url);
    for (const token of [undefined, 'wrong']) assert.is(await statusOfFeed(url, token), 401, path);
    for (const token of [...Object.values(tokens), testToken])
      assert.is(await statusOfFeed(url, token), 200, path);
  }
  for (const [verb, line] of Object.entries(hostRequests)) {
    assert.is((await askAs(running, line, undefined)).status, 401, verb);
    for (const token of [...Object.values(tokens), testToken]) {
      const { status } = await askAs(running, line, token);
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

test.run();

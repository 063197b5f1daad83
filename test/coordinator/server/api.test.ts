/** What the API takes and what it refuses, and how it says so. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { digestOf } from '../../support/farm-fixtures.ts';
import { ask } from '../../support/http-request.ts';
import { runningCoordinator, testToken } from '../../support/running-coordinator.ts';
import { refusalAnswer, specOf } from '../../support/submitted-builds.ts';

test('without the token nothing is said but that the coordinator lives', async () => {
  await using running = await runningCoordinator();
  assert.equal(await ask(new URL('/healthz', running.url)), { status: 200, body: { status: 'ok' } });
  const wrong = ['', 'Bearer', 'Bearer wrong', `Bearer ${testToken}x`, `Basic ${testToken}`, testToken];
  for (const authorization of wrong) {
    for (const path of ['/v1/agents', '/v1/builds', '/v1/builds/x/events']) {
      const answer = await ask(new URL(path, running.url), { headers: { authorization } });
      assert.is(answer.status, 401, `${path} with ${authorization}`);
      assert.is(v.parse(refusalAnswer, answer.body).error.code, 'unauthorized');
    }
  }
  assert.is((await running.ask('/v1/agents')).status, 200);
});

test('what a web page sends is refused, with the right token too', async () => {
  await using running = await runningCoordinator();
  const answer = await running.ask('/v1/agents', { headers: { origin: 'https://evil.example' } });
  assert.is(answer.status, 403);
  assert.is(v.parse(refusalAnswer, answer.body).error.code, 'unauthorized');
});

test('a wrong request is told which field is wrong', async () => {
  await using running = await runningCoordinator();
  const spec = specOf();
  const post = { method: 'POST' };
  const big = Object.fromEntries(
    Array.from({ length: 100 }, (_, index) => [`A${index}`, 'x'.repeat(20_000)]),
  );
  const golden: [path: string, options: { method?: string; body?: unknown }, message: RegExp][] = [
    ['/v1/builds', { ...post, body: '{"spec":' }, /JSON/],
    ['/v1/builds', { ...post, body: {} }, /^bad request: spec: /],
    ['/v1/builds', { ...post, body: { spec: { ...spec, tags: [] } } }, /^bad request: spec\.tags: /],
    [
      '/v1/builds',
      { ...post, body: { spec: { ...spec, platforms: [7] } } },
      /^bad request: spec\.platforms\.0: /,
    ],
    ['/v1/builds', { ...post, body: { spec, hack: 1 } }, /^bad request: hack: /],
    [
      '/v1/builds',
      { ...post, body: { spec: { ...spec, context: { ...spec.context, root: 'x' } } } },
      /^bad request: spec\.context\.root: not a sha256 digest/,
    ],
    [
      '/v1/builds',
      { ...post, body: { spec, secrets: { token: 'hunter2!' } } },
      /^bad request: secrets\.token: not base64$/,
    ],
    [
      '/v1/builds',
      { ...post, body: { spec: specOf({ platforms: ['armv7'] }) } },
      /^unknown platform "armv7"/,
    ],
    [
      '/v1/builds',
      { ...post, body: { spec: specOf({ platforms: ['constructor'] }) } },
      /^unknown platform "constructor"/,
    ],
    [
      '/v1/builds',
      { ...post, body: { spec: specOf({ tags: ['Onap/App'] }) } },
      /^invalid image reference "Onap\/App"/,
    ],
    ['/v1/builds', { ...post, body: { spec: specOf({ tags: [`app@${digestOf('x')}`] }) } }, /names a digest/],
    [
      '/v1/builds',
      { ...post, body: { spec: specOf({ tags: [`h.io/${'n'.repeat(245)}`] }) } },
      /longer than 255/,
    ],
    [
      '/v1/builds',
      { ...post, body: { spec: specOf({ secrets: ['token'] }) } },
      /^secret "token" came without a value/,
    ],
    [
      '/v1/builds',
      { ...post, body: { spec: specOf({ args: big }) } },
      /^the build arguments, labels, cache references and test have \d+ bytes/,
    ],
    [
      '/v1/builds',
      { ...post, body: JSON.stringify({ spec }).replace('"args":{}', '"args":{"constructor":"x"}') },
      /^bad request: spec\.args: reserved key/,
    ],
    ['/v1/builds?limit=0', {}, /^bad request: limit: /],
    ['/v1/builds?limit=many', {}, /^bad request: limit: /],
    ['/v1/builds?status=done', {}, /^bad request: status: /],
    ['/v1/builds/..%2Fx', {}, /^bad request: id: not a build id/],
    ['/v1/builds/x/events?after=-1', {}, /^bad request: after: /],
    ['/v1/plan', { ...post, body: { platforms: 'all', allowEmulation: true } }, /^bad request: platforms: /],
    ['/v1/plan', { ...post, body: { platforms: ['armv7'], allowEmulation: true } }, /^unknown platform/],
  ];
  for (const [path, options, message] of golden) {
    const answer = await running.ask(path, options);
    assert.is(answer.status, 400, `${path} ${JSON.stringify(answer.body)}`);
    const { error } = v.parse(refusalAnswer, answer.body);
    assert.is(error.code, 'usage');
    assert.match(error.message, message, error.message);
    assert.not.match(error.message, 'hunter2');
  }
  assert.equal((await running.ask('/v1/builds')).body, { builds: [] });
});

test('what is not there is 404, and what is too large 413', async () => {
  await using running = await runningCoordinator();
  for (const [path, method] of [
    ['/v1/builds/nobuild', 'GET'],
    ['/v1/builds/nobuild/events', 'GET'],
    ['/v1/builds/nobuild/cancel', 'POST'],
    ['/v1/builds/nobuild/complete', 'POST'],
    ['/v1/other', 'GET'],
    ['/v1/', 'GET'],
    ['/v1/agents', 'DELETE'],
  ] as const) {
    const answer = await running.ask(path, { method });
    assert.is(answer.status, 404, path);
    assert.is(v.parse(refusalAnswer, answer.body).error.code, 'not-found');
  }
  const large = await running
    .ask('/v1/builds', { method: 'POST', body: `"${'x'.repeat(17 * 1024 * 1024)}"` })
    .catch(String);
  // The server hangs up on what it will not read, and the client may see that before the answer.
  if (typeof large !== 'string') assert.is(large.status, 413);
  else assert.match(large, /EPIPE|ECONNRESET/);
});

test.run();

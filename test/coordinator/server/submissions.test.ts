/** Builds as they are submitted: how many there may be, once each, and found again. */
import { EventEmitter, once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import type { HttpAnswer } from '../../support/http-request.ts';
import { runningCoordinator, type RunningCoordinator } from '../../support/running-coordinator.ts';
import { buildAnswer, directories, refusalAnswer, specOf, submit } from '../../support/submitted-builds.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';

test('a queue that is full takes no more, but knows what it has taken', async () => {
  await using running = await runningCoordinator({}, undefined, { maxQueued: 1 });
  const build = await submit(running, 'the-first-of-all');
  const body = { spec: specOf() };
  const refused = await running.ask('/v1/builds', { method: 'POST', body });
  assert.is(refused.status, 429);
  const { code, message, hint } = v.parse(refusalAnswer, refused.body).error;
  assert.is(code, 'queue-full');
  assert.is(message, '1 builds wait for an agent already');
  assert.match(hint ?? '', /--max-queued/);
  assert.is(await submit(running, 'the-first-of-all'), build);
  await running.ask(`/v1/builds/${build}/cancel`, { method: 'POST' });
  assert.not.equal(await submit(running), build);
});

test('a queue that is full takes no more of what comes at once either', async () => {
  await using running = await runningCoordinator({}, undefined, { maxQueued: 2 });
  const body = { spec: specOf(), directories };
  const answers = await Promise.all(
    Array.from({ length: 12 }, () => running.ask('/v1/builds', { method: 'POST', body })),
  );
  assert.equal(
    answers.map(({ status }) => status).toSorted((left, right) => left - right),
    [201, 201, ...Array.from({ length: 10 }, () => 429)],
  );
});

test('two submissions under one key are one build', async () => {
  await using running = await runningCoordinator();
  const [first, second] = await Promise.all([
    submit(running, 'key-number-1'),
    submit(running, 'key-number-1'),
  ]);
  assert.is(first, second);
  assert.is(await submit(running, 'key-number-1'), first);
  assert.is.not(await submit(running, 'key-number-2'), first);
  assert.is.not(await submit(running), await submit(running));
});

test('a build is found by the beginning of its id as long as that is unique', async () => {
  await using running = await runningCoordinator();
  const build = await submit(running);
  assert.equal(v.parse(buildAnswer, (await running.ask(`/v1/builds/${build.slice(0, -1)}`)).body), { build });
  await submit(running);
  const ambiguous = await running.ask(`/v1/builds/${build.slice(0, 1)}`);
  assert.is(ambiguous.status, 404);
  assert.match(v.parse(refusalAnswer, ambiguous.body).error.message, 'is the beginning of several builds');
});

test('a build whose directories came along is taken without a connection to ask for them', async () => {
  await using running = await runningCoordinator();
  const body = { spec: specOf(), directories, idempotencyKey: 'with-directories' };
  assert.is((await running.ask('/v1/builds', { method: 'POST', body })).status, 201);
  const broken = { ...body, directories: ['AAAA/w=='], idempotencyKey: 'broken-directories' };
  const refused = await running.ask('/v1/builds', { method: 'POST', body: broken });
  assert.is(refused.status, 400, JSON.stringify(refused.body));
});

test('a build that is too long for one message to an agent is refused, and the longest other is offered', async () => {
  await using running = await runningCoordinator();
  const agent = await running.agent({ policy: ['all'] });
  await agent.wait('welcome');
  const args = Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`A${index}`, 'x'.repeat(60_000)]));
  const widest = 'w'.repeat(250);
  const post = (hosts: number): Promise<HttpAnswer> => {
    const extraHosts = Array.from({ length: hosts }, () => widest);
    const ssh = Array.from({ length: 1000 }, () => widest);
    const spec = specOf({ platforms: ['linux/arm64/v8'], args, ssh, extraHosts });
    return running.ask('/v1/builds', { method: 'POST', body: { spec, directories } });
  };
  const refused = await post(1000);
  assert.is(refused.status, 400, 'it is taken');
  const { code, message } = v.parse(refusalAnswer, refused.body).error;
  assert.is(code, 'usage');
  const [, bytes, limit] =
    /^what an agent is told of the build for linux\/arm64\/v8 has (\d+) bytes, the limit is (\d+)$/.exec(
      message,
    ) ?? [];
  const tooMany = Math.ceil((Number(bytes) - Number(limit)) / `"${widest}",`.length);
  assert.is((await post(1000 - tooMany + 1)).status, 400);
  assert.is((await post(1000 - tooMany)).status, 201);
  await agent.wait('offer');
  assert.is(agent.socket.readyState, agent.socket.OPEN);
});

test('a build whose images could not get the tags that they are to have is refused, naming the tag', async () => {
  await using running = await runningCoordinator();
  const tag = 'v'.repeat(121);
  const spec = specOf({ platforms: ['linux/arm64/v8'], tags: [`registry.test/app:${tag}`], childTags: true });
  const refused = await running.ask('/v1/builds', { method: 'POST', body: { spec, directories } });
  assert.is(refused.status, 400, 'it is taken');
  const { code, message } = v.parse(refusalAnswer, refused.body).error;
  assert.is(code, 'usage');
  assert.match(message, `${tag}-arm64v8, beside registry.test/app:${tag}: a tag has at most 128 characters`);
});

test('a build takes values of the secrets that it names alone, and no more than is looked for in its output', async () => {
  await using running = await runningCoordinator();
  const value = (bytes: number, text = 's'): string => Buffer.alloc(bytes, text).toString('base64');
  const half = 500 * 1024;
  const post = (path: string, body: unknown, method = 'POST'): Promise<HttpAnswer> =>
    running.ask(path, { method, body });
  const refused = async (answer: Promise<HttpAnswer>, message: RegExp): Promise<void> => {
    const { status, body } = await answer;
    assert.is(status, 400, JSON.stringify(body));
    const { error } = v.parse(refusalAnswer, body);
    assert.is(error.code, 'usage');
    assert.match(error.message, message);
  };
  const spec = specOf({ secrets: ['one', 'two', 'three'] });
  const secrets = { one: value(half), two: value(half, 't'), three: value(100) };
  const submitted = { spec, directories, secrets };
  const stray = /^the build has no secret "other"$/;
  const tooMuch = /^the secrets of the build have \d+ bytes, the limit is 1048576$/;
  await refused(post('/v1/builds', { ...submitted, secrets: { ...secrets, other: 'AAAA' } }), stray);
  await refused(post('/v1/builds', { ...submitted, secrets: { ...secrets, three: value(half) } }), tooMuch);
  const answer = await post('/v1/builds', submitted);
  assert.is(answer.status, 201, JSON.stringify(answer.body));
  const path = `/v1/builds/${v.parse(buildAnswer, answer.body).build}`;
  await refused(post(`${path}/secrets`, { other: 'AAAA' }, 'PUT'), stray);
  // What comes again is no more than it was; what takes its place is masked beside it.
  for (let times = 0; times < 3; times += 1) {
    assert.is((await post(`${path}/secrets`, secrets, 'PUT')).status, 204);
  }
  await refused(post(`${path}/secrets`, { three: value(half) }, 'PUT'), tooMuch);
  await post(`${path}/cancel`, {});
  await refused(post(`${path}/retry`, { secrets: { ...secrets, other: 'AAAA' } }), stray);
  await refused(post(`${path}/retry`, { secrets: { ...secrets, three: value(half) } }), tooMuch);
});

test('a retry leaves tags alone that a newer build was submitted for while registries were asked', async () => {
  const tags = ['localhost:5000/onap/py-app:1', 'localhost:5000/onap/py-app:2'];
  const [amd64, arm64] = ['linux/amd64', 'linux/arm64/v8'];
  await using data = await temporaryDirectory();
  const durable = { data: data.path, cache: data.path };
  const post = async (running: RunningCoordinator, path: string, body: unknown): Promise<HttpAnswer> =>
    running.ask(path, { method: 'POST', body });
  const idOf = ({ body }: HttpAnswer): string => v.parse(buildAnswer, body).build;
  let old: string;
  {
    await using before = await runningCoordinator({}, undefined, durable);
    const spec = specOf({ tags, platforms: [amd64, arm64], waitAgent: 0 });
    old = idOf(await post(before, '/v1/builds', { spec, directories }));
    await before.ask(`/v1/builds/${old}/cancel`, { method: 'POST' });
    await before.ask(`/v1/builds/${old}/events?follow=1`);
  }
  for (const taken of [tags.slice(0, 1), tags]) {
    const registry = new EventEmitter();
    let held = 0;
    const hold = async ({ url = '' }: IncomingMessage): Promise<boolean> => {
      if (!url.includes('/onap/py-app-arm64v8/')) return false;
      held += 1;
      await once(registry, 'released');
      return false;
    };
    await using running = await runningCoordinator({}, hold, durable);
    const retrying = post(running, `/v1/builds/${old}/retry`, {});
    await until(() => held > 0);
    const spec = specOf({ tags: taken, platforms: [amd64] });
    const newer = idOf(await post(running, '/v1/builds', { spec, directories }));
    registry.emit('released');
    const answer = await retrying;
    if (taken.length === tags.length) {
      assert.match(v.parse(refusalAnswer, answer.body).error.message, `build ${newer} is about to publish`);
      continue;
    }
    const retry = idOf(answer);
    const shown = v.parse(
      v.object({ tags: v.array(v.string()) }),
      (await running.ask(`/v1/builds/${retry}`)).body,
    );
    assert.equal(shown.tags, tags.slice(1));
    for (const build of [newer, retry]) await running.ask(`/v1/builds/${build}/cancel`, { method: 'POST' });
    const log = String((await running.ask(`/v1/builds/${retry}/events?follow=1`)).body);
    assert.match(log, `build ${newer} is about to publish ${tags[0]}: it is left as it is`);
  }
});

test.run();

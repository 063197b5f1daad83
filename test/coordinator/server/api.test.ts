import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { ContextUpload } from '../../../coordinator/cli/context-upload.ts';
import type { BuildSpec } from '../../../coordinator/project/spec.ts';
import { digestOf, sampleSpec } from '../../support/farm-fixtures.ts';
import { ask, type HttpAnswer } from '../../support/http-request.ts';
import { dir, memoryTree } from '../../support/memory-tree.ts';
import { runningCoordinator, testToken, type RunningCoordinator } from '../../support/running-coordinator.ts';
import { until } from '../../support/until.ts';

const tree = memoryTree(dir(['Dockerfile', 'FROM scratch\n']));
const refusalAnswer = v.object({
  error: v.object({ code: v.string(), message: v.string(), hint: v.optional(v.string()) }),
});
const finding = { error: v.optional(v.object({ code: v.string() })) };
const findings = v.object({
  repositories: v.array(v.object({ repository: v.string(), ...finding })),
  tags: v.array(v.object({ tag: v.string(), ...finding })),
});
const buildAnswer = v.object({ build: v.string() });

function specOf(change: Partial<BuildSpec> = {}): BuildSpec {
  return sampleSpec({
    context: { root: tree.root, name: 'c', files: 1, bytes: 1 },
    dockerfile: { root: tree.root, name: 'Dockerfile' },
    ...change,
  });
}

async function submit(running: RunningCoordinator, idempotencyKey?: string): Promise<string> {
  const link = randomBytes(12).toString('base64url');
  const upload = new ContextUpload({ coordinator: running.url, token: testToken, link, source: tree });
  try {
    const body = { spec: specOf(), link, idempotencyKey };
    return v.parse(buildAnswer, (await running.ask('/v1/builds', { method: 'POST', body })).body).build;
  } finally {
    await upload.close();
  }
}

/** Follows a build's events on a connection of its own; the stream stays open. */
async function follow(running: RunningCoordinator, build: string, after: number): Promise<IncomingMessage> {
  const url = new URL(`/v1/builds/${build}/events?follow=1&after=${after}`, running.url);
  const outgoing = request(url, { agent: false, headers: { authorization: `Bearer ${testToken}` } });
  outgoing.on('error', () => {});
  outgoing.end();
  const [answer]: IncomingMessage[] = await once(outgoing, 'response');
  if (answer === undefined) throw new Error('no answer');
  answer.on('error', () => {});
  return answer;
}

function numbersOf(answer: unknown): number[] {
  const lines = String(answer)
    .split('\n')
    .filter((line) => line !== '');
  return lines.map((line) => v.parse(v.object({ seq: v.number() }), JSON.parse(line)).seq);
}

/** Whether this host's end at `from` still sends to the one at `to`; ports of 127.0.0.1. */
async function isEstablished({ from, to }: { from: number; to: number }): Promise<boolean> {
  const hex = (port: number): string => `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return (await readFile('/proc/net/tcp', 'utf8')).includes(` ${hex(from)} ${hex(to)} 01 `);
}

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
    ['/', 'GET'],
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
  const directories = [...tree.records.values()].map((record) => record.toString('base64'));
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

test('a stream of events goes on after any number', async () => {
  await using running = await runningCoordinator();
  const build = await submit(running);
  await running.ask(`/v1/builds/${build}/cancel`, { method: 'POST' });
  const path = `/v1/builds/${build}/events`;
  const all = numbersOf((await running.ask(`${path}?follow=1`)).body);
  assert.ok(all.length >= 4);
  assert.equal(
    all,
    all.map((_, index) => index + 1),
  );
  for (const after of [0, 1, all.length - 1, all.length, all.length + 5])
    assert.equal(numbersOf((await running.ask(`${path}?follow=1&after=${after}`)).body), all.slice(after));
});

test('a follower hears what happens as it happens, up to the result', async () => {
  await using running = await runningCoordinator();
  const build = await submit(running);
  const answer = await follow(running, build, 0);
  const types: string[] = [];
  createInterface(answer).on('line', (line) => {
    if (line !== '') types.push(v.parse(v.object({ type: v.string() }), JSON.parse(line)).type);
  });
  await until(() => types.length >= 3);
  assert.not(types.includes('result'));
  await running.ask(`/v1/builds/${build}/cancel`, { method: 'POST' });
  await once(answer, 'end');
  assert.is(types.at(-1), 'result');
});

test('followers that hang up, and slow ones, leave no listener and no warning', async () => {
  await using running = await runningCoordinator();
  const warnings: string[] = [];
  const warned = (warning: Error): void => void warnings.push(warning.message);
  process.on('warning', warned);
  const agent = await running.agent({ platforms: [{ platform: 'linux/amd64', native: true }] });
  await agent.wait('welcome');
  const build = await submit(running);
  const { attempt } = await agent.wait('offer');
  agent.send({ type: 'accept', attempt });
  for (let round = 0; round < 20; round++) (await follow(running, build, 0)).destroy();
  const slow = await follow(running, build, 0);
  slow.pause();
  const text = 'x'.repeat(50_000);
  for (let frame = 1; frame <= 300; frame++) {
    agent.send({
      type: 'progress',
      attempt,
      frame,
      events: [{ type: 'log', time: 1, step: 's', stream: 'stdout', text }],
    });
  }
  await agent.wait('acknowledge', 300);
  let lines = 0;
  createInterface(slow).on('line', (line) => (lines += line === '' ? 0 : 1));
  await running.ask(`/v1/builds/${build}/cancel`, { method: 'POST' });
  await once(slow, 'end');
  assert.ok(lines > 300, `${lines} lines`);
  process.off('warning', warned);
  assert.equal(warnings, []);
});

test('a follower that takes nothing is cut off, and resumes by number without gap or repeat', async () => {
  await using running = await runningCoordinator({ follower: 200 });
  const agent = await running.agent({ platforms: [{ platform: 'linux/amd64', native: true }] });
  await agent.wait('welcome');
  const build = await submit(running);
  const { attempt } = await agent.wait('offer');
  agent.send({ type: 'accept', attempt });
  const stuck = await follow(running, build, 0);
  stuck.pause();
  // More than the buffers of kernels on both sides hold.
  const text = 'x'.repeat(60_000);
  for (let frame = 1; frame <= 500; frame++) {
    const event = { type: 'log', time: 1, step: 's', stream: 'stdout', text } as const;
    agent.send({ type: 'progress', attempt, frame, events: [event] });
    if (frame % 100 === 0) await agent.wait('acknowledge', frame);
  }
  const { remotePort = 0, localPort = 0 } = stuck.socket;
  await until(async () => !(await isEstablished({ from: remotePort, to: localPort })));
  // What it had already been sent is still there to be read.
  let said = '';
  stuck.setEncoding('latin1').on('data', (part: string) => (said += part));
  stuck.resume();
  await until(() => stuck.closed);
  const seen = numbersOf(said.slice(0, said.lastIndexOf('\n') + 1));
  assert.ok(seen.length > 0 && seen.length < 500, `${seen.length} frames before the cut`);
  await running.ask(`/v1/builds/${build}/cancel`, { method: 'POST' });
  const rest = numbersOf(
    (await running.ask(`/v1/builds/${build}/events?follow=1&after=${seen.at(-1)}`)).body,
  );
  assert.ok(seen.length + rest.length > 500);
  assert.equal(
    [...seen, ...rest],
    Array.from({ length: seen.length + rest.length }, (_, index) => index + 1),
  );
});

test('a plan names who could build what, and a build without platforms and agents says so', async () => {
  await using running = await runningCoordinator();
  const plan = {
    method: 'POST',
    body: { platforms: ['amd64', 'arm/v7'].map((name) => `linux/${name}`), allowEmulation: false },
  };
  plan.body.platforms = ['linux/amd64', 'linux/arm/v7'];
  const none = await running.ask('/v1/builds', {
    method: 'POST',
    body: { spec: specOf({ platforms: [], waitAgent: 1 }) },
  });
  assert.is(none.status, 409);
  assert.is(v.parse(refusalAnswer, none.body).error.code, 'no-agent');
  const agent = await running.agent({
    platforms: [
      { platform: 'linux/amd64', native: true },
      { platform: 'linux/arm/v7', native: false },
    ],
  });
  await agent.wait('welcome');
  const candidate = { name: 'pi-01', native: true };
  const strict = [
    { platform: 'linux/amd64', candidates: [candidate], emulators: [] },
    { platform: 'linux/arm/v7', candidates: [], emulators: ['pi-01'] },
  ];
  const nothing = { repositories: [], tags: [] };
  assert.equal((await running.ask('/v1/plan', plan)).body, { platforms: strict, ...nothing });
  const native = await running.ask('/v1/plan', {
    method: 'POST',
    body: { platforms: [], allowEmulation: true },
  });
  assert.equal(native.body, { platforms: [strict[0]], ...nothing });
});

test('a plan tells what registries say to it, and a build that they would refuse is not stored', async () => {
  const denied = '/v2/onap/denied/';
  await using running = await runningCoordinator({}, (request, response) => {
    if (request.method !== 'POST' || request.url?.startsWith(denied) !== true) return false;
    response.writeHead(403).end();
    return true;
  });
  const post = (path: string, body: unknown): Promise<HttpAnswer> =>
    running.ask(path, { method: 'POST', body });
  const planned = await post('/v1/plan', {
    platforms: ['linux/amd64'],
    allowEmulation: false,
    tags: ['localhost:5000/onap/app', 'localhost:5000/onap/denied:2'],
    suffix: 'tag',
  });
  const { repositories, tags } = v.parse(findings, planned.body);
  assert.equal(
    repositories.map(({ repository, error }) => [repository.replace(/^[^/]*/, 'h'), error?.code]),
    [
      ['h/onap/app', undefined],
      ['h/onap/denied', 'registry-denied'],
    ],
  );
  assert.equal(
    tags.map(({ tag, error }) => [tag.replace(/^[^/]*/, 'h'), error?.code]),
    [
      ['h/onap/app:latest', undefined],
      ['h/onap/denied:2', 'registry-denied'],
    ],
  );
  const directories = [...tree.records.values()].map((record) => record.toString('base64'));
  const spec = specOf({ tags: ['localhost:5000/onap/app', 'localhost:5000/onap/denied'] });
  const refused = await post('/v1/builds', { spec, directories });
  assert.is(v.parse(refusalAnswer, refused.body).error.code, 'registry-denied');
  assert.equal((await running.ask('/v1/builds')).body, { builds: [] });
});

test('a build whose directories came along is taken without a connection to ask for them', async () => {
  await using running = await runningCoordinator();
  const directories = [...tree.records.values()].map((record) => record.toString('base64'));
  const body = { spec: specOf(), directories, idempotencyKey: 'with-directories' };
  assert.is((await running.ask('/v1/builds', { method: 'POST', body })).status, 201);
  const broken = { ...body, directories: ['AAAA/w=='], idempotencyKey: 'broken-directories' };
  const refused = await running.ask('/v1/builds', { method: 'POST', body: broken });
  assert.is(refused.status, 400, JSON.stringify(refused.body));
});

test.run();

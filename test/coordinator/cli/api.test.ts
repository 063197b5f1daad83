import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Api } from '../../../coordinator/cli/api.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import type { Frame } from '../../../shared/progress.ts';
import { exampleFrames, exampleResult } from '../../support/frames.ts';
import { bodyOf, httpServer, type Handler, type TestServer } from '../../support/http-server.ts';

const { signal } = new AbortController();

async function failure(work: Promise<unknown>): Promise<ArchfarmError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof ArchfarmError) return error;
    throw error;
  }
  throw new Error('did not fail');
}

async function answering(status: number, body: string): Promise<TestServer> {
  return httpServer((_, response) => void response.writeHead(status).end(body));
}

async function framesOf(api: Api, follow = false): Promise<Frame[]> {
  const frames: Frame[] = [];
  for await (const frame of api.frames('b1', { after: 0, follow, signal })) frames.push(frame);
  return frames;
}

function* endless(): Generator<Buffer> {
  const megabyte = Buffer.alloc(1024 * 1024, 'x');
  for (;;) yield megabyte;
}

test('each call is the request it should be, with the token, over one connection', async () => {
  const seen: string[] = [];
  const bodies: unknown[] = [];
  const sockets = new Set<unknown>();
  const answers: Record<string, unknown> = {
    'GET /base/v1/builds?limit=5&status=failed': { builds: [exampleResult] },
    'GET /base/v1/builds/b%2F1': exampleResult,
    'GET /base/v1/agents': { agents: [] },
    'POST /base/v1/plan': {
      platforms: [{ platform: 'linux/amd64', candidates: [{ name: 'a', native: true }] }],
    },
  };
  const handler: Handler = async (request, response) => {
    const call = `${request.method} ${request.url}`;
    seen.push(call);
    sockets.add(request.socket);
    assert.is(request.headers.authorization, 'Bearer s3cret');
    bodies.push(await bodyOf(request));
    response.end(call in answers ? JSON.stringify(answers[call]) : '');
  };
  await using server = await httpServer(handler);
  using api = new Api({ url: new URL('base/', server.url), token: 's3cret' });

  assert.equal(await api.builds({ limit: 5, status: 'failed' }, signal), [exampleResult]);
  assert.equal(await api.build('b/1', signal), exampleResult);
  assert.equal(await api.agents(signal), []);
  const planned = {
    platforms: ['linux/amd64'],
    allowEmulation: true,
    tags: ['h/app'],
    suffix: 'repo',
    force: false,
  } as const;
  const plan = await api.plan(planned, signal);
  assert.equal(plan.platforms[0]?.candidates, [{ name: 'a', native: true }]);
  await api.cancel('b1', signal);
  await api.supplySecrets('b1', { secrets: { token: 'czNjcmV0' }, signal });

  assert.equal(seen, [
    ...Object.keys(answers),
    'POST /base/v1/builds/b1/cancel',
    'PUT /base/v1/builds/b1/secrets',
  ]);
  assert.equal(bodies.slice(3), [planned, undefined, { token: 'czNjcmV0' }]);
  assert.is(sockets.size, 1);
});

test('errors of the coordinator keep their code, message and hint', async () => {
  const error = { code: 'not-found', message: 'no build b1', hint: 'archfarm builds lists them' };
  await using server = await answering(404, JSON.stringify({ error }));
  using api = new Api({ url: server.url });
  const thrown = await failure(api.build('b1', signal));
  assert.equal([thrown.code, thrown.message, thrown.hint], Object.values(error));
});

test('what is not an answer of a coordinator is told by kind', async () => {
  const golden: [status: number, body: string, code: string, message: RegExp][] = [
    [401, 'nope', 'unauthorized', /refused the token/],
    [403, '{"error":{"code":"unauthorized","message":"no such token"}}', 'unauthorized', /no such token/],
    [404, '<html>', 'protocol', /answered with status 404/],
    [301, '', 'protocol', /answered with status 301/],
    [502, '<html>', 'coordinator-unreachable', /answered with status 502/],
    [500, '{"error":{"code":"from-the-future","message":"x"}}', 'internal', /^x$/],
    [200, 'not json', 'protocol', /not understood/],
    [200, '{"agents":[{"name":1}]}', 'protocol', /not understood/],
    [200, '', 'protocol', /not understood/],
  ];
  for (const [status, body, code, message] of golden) {
    await using server = await answering(status, body);
    using api = new Api({ url: server.url, token: 's3cret' });
    const thrown = await failure(api.agents(signal));
    assert.is(thrown.code, code, body);
    assert.match(thrown.message, message);
    assert.not.match(`${thrown.message} ${thrown.hint}`, /s3cret/);
  }
});

test('a coordinator that is not there is named, with what to do', async () => {
  const url = await (async () => {
    await using server = await answering(200, '');
    return server.url;
  })();
  using api = new Api({ url });
  const thrown = await failure(api.agents(signal));
  assert.is(thrown.code, 'coordinator-unreachable');
  assert.is(thrown.exitStatus, 3);
  assert.ok(
    thrown.message.includes(`cannot reach the coordinator ${url.href}: connect ECONNREFUSED`),
    thrown.message,
  );
  assert.match(thrown.hint ?? '', /archfarm serve/);
});

test('an answer without end is given up at its bound', async () => {
  await using server = await httpServer((_, response) => pipeline(Readable.from(endless()), response));
  using api = new Api({ url: server.url });
  assert.match((await failure(api.agents(signal))).message, /larger than 16777216 bytes/);
  assert.match((await failure(framesOf(api))).message, /line is longer than 1048576 bytes/);
});

test('frames are whole lines, however the bytes are cut, with empty ones left out', async () => {
  const log = { ...exampleFrames[9]!, type: 'log', step: 's', stream: 'stdout', text: 'añ日本' } as const;
  const bytes = Buffer.from(`${JSON.stringify(exampleFrames[0])}\n\n${JSON.stringify(log)}\n`);
  const handler: Handler = async (request, response) => {
    assert.is(request.url, '/v1/builds/b1/events?after=0');
    for (let at = 0; at < bytes.length; at += 7) {
      await new Promise<void>((resolve) => response.write(bytes.subarray(at, at + 7), () => resolve()));
    }
    response.end('{"seq":3,"half a fra');
  };
  await using server = await httpServer(handler);
  using api = new Api({ url: server.url });
  assert.equal(await framesOf(api), [exampleFrames[0], log]);
});

test('every kind of frame comes through as it was sent', async () => {
  await using server = await answering(
    200,
    exampleFrames.map((frame) => `${JSON.stringify(frame)}\n`).join(''),
  );
  using api = new Api({ url: server.url });
  assert.equal(await framesOf(api), exampleFrames);
});

test('a call that is aborted ends with the reason, before and while it is answered', async () => {
  const interrupted = new AbortController();
  const handler: Handler = (request, response) => {
    if (request.url?.includes('events') === true) response.write(`${JSON.stringify(exampleFrames[0])}\n`);
    else interrupted.abort(new ArchfarmError('cancelled', 'interrupted'));
  };
  await using server = await httpServer(handler);
  using api = new Api({ url: server.url });
  const frames = api.frames('b1', { after: 0, follow: true, signal: interrupted.signal });
  assert.equal((await frames.next()).value, exampleFrames[0]);
  const next = failure(frames.next());
  assert.is((await failure(api.agents(interrupted.signal))).code, 'cancelled');
  assert.is((await next).code, 'cancelled');
});

test.run();

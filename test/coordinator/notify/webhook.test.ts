import { appendFile, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { DeliveryQueue } from '../../../coordinator/notify/delivery-queue.ts';
import { Notifications } from '../../../coordinator/notify/notifications.ts';
import {
  signatureOf,
  Webhook,
  webhookTiming,
  type WebhookOptions,
} from '../../../coordinator/notify/webhook.ts';
import { silentLogger } from '../../../shared/log.ts';
import { keepCollecting } from '../../support/garbage.ts';
import { startServer } from '../../support/logged-server.ts';
import { runningCoordinator } from '../../support/running-coordinator.ts';
import { submitBuild } from '../../support/submitted-build.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';

const secret = 'between us';
const timing = { ...webhookTiming, firstPause: 5, maxPause: 5 };
const bodySchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({ event: v.string(), build: v.string(), result: v.optional(v.object({ status: v.string() })) }),
);

interface Heard {
  readonly id: string;
  readonly event: string;
  readonly signature: string;
  readonly body: string;
}

function optionsOf(url: URL, { path }: { readonly path: string }): WebhookOptions {
  return { url, secret, directory: path, log: silentLogger, timing };
}

/** A receiver that answers as it is told to. */
async function receiver(
  answer: (heard: Heard) => number,
): Promise<AsyncDisposable & { url: URL; heard: Heard[] }> {
  const heard: Heard[] = [];
  const server = await startServer(async (request, response) => {
    const of = (name: string): string => String(request.headers[`x-archfarm-${name}`]);
    const one = {
      id: of('delivery'),
      event: of('event'),
      signature: of('signature'),
      body: await text(request),
    };
    heard.push(one);
    response.writeHead(answer(one)).end('{}');
  });
  return {
    url: new URL(`http://${server.host}/hook?key=private`),
    heard,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

test('a webhook hears of a whole build, signed and in order, however often it has to be told', async () => {
  await using directory = await temporaryDirectory();
  let refused = 0;
  await using there = await receiver(() => (refused++ < 2 ? 503 : 204));
  const webhook = new Webhook(optionsOf(there.url, directory));
  await using notifications = new Notifications({
    webhooks: [webhook],
    onPublish: undefined,
    log: silentLogger,
  });
  await using running = await runningCoordinator({}, () => false, { notifications });
  const agent = await running.agent();
  const build = await submitBuild(running, { platforms: ['linux/arm64/v8'] });
  const { attempt } = await agent.wait('offer');
  agent.send({ type: 'accept', attempt });
  const error = { code: 'build-failed', message: 'RUN false' } as const;
  agent.send({
    type: 'report',
    attempt,
    lastFrame: 0,
    outcome: { status: 'failed', kind: 'build', error, timings: {}, sentBytes: 0 },
  });
  await until(() => there.heard.some(({ event }) => event === 'build.failed'));
  await until(() => webhook.waiting === 0);
  assert.equal(
    there.heard.map(({ id }) => id),
    ['queued', 'queued', 'queued', 'running', 'failed'].map((status) => `${build}.${status}`),
  );
  for (const { signature, body, event } of there.heard) {
    const [, timestamp = '', given] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(signature) ?? [];
    assert.is(given, signatureOf(secret, Number(timestamp), body));
    assert.ok(Math.abs(Date.now() / 1000 - Number(timestamp)) < 60);
    assert.is(v.parse(bodySchema, body).event, event);
  }
  assert.is(v.parse(bodySchema, there.heard.at(-1)?.body).result?.status, 'failed');
});

test('what was not told is told by the next process, once', async () => {
  await using directory = await temporaryDirectory();
  let up = false;
  await using there = await receiver(() => (up ? 200 : 500));
  const options = optionsOf(there.url, directory);
  const first = new Webhook(options);
  first.tell({ id: 'a.queued', build: 'a', event: 'build.queued', body: '{"n":1}' });
  first.tell({ id: 'a.failed', build: 'a', event: 'build.failed', body: '{"n":2}' });
  await until(() => there.heard.length > 0);
  await first.close();
  const [file = ''] = await readdir(directory.path);
  assert.not.match(file, /private/);
  // As a process leaves it that dies while it writes.
  await appendFile(join(directory.path, file), '{"id":"b');
  up = true;
  there.heard.length = 0;
  const second = new Webhook(options);
  await until(() => second.waiting === 0);
  await second.close();
  assert.equal(
    there.heard.map(({ id, body }) => [id, body]),
    [
      ['a.queued', '{"n":1}'],
      ['a.failed', '{"n":2}'],
    ],
  );
  assert.is(await readFile(join(directory.path, file), 'utf8'), '');
  assert.is(new DeliveryQueue(join(directory.path, file)).size, 0);
});

test('what a receiver does not want is given up, and the next is told', async () => {
  await using directory = await temporaryDirectory();
  await using there = await receiver(({ id }) => (id === 'a' ? 400 : 200));
  const webhook = new Webhook(optionsOf(there.url, directory));
  for (const id of ['a', 'b']) webhook.tell({ id, build: 'a', event: 'build.failed', body: '{}' });
  await until(() => webhook.waiting === 0);
  await webhook.close();
  assert.equal(
    there.heard.map(({ id }) => id),
    ['a', 'b'],
  );
});

test('a refusal is tried once, and what may pass is tried again', async () => {
  await using directory = await temporaryDirectory();
  const final = [301, 308, 329, 400, 410, 418];
  const passing = [408, 429, 500, 503];
  const tries = new Map<string, number>();
  await using there = await receiver(({ id }) => {
    tries.set(id, (tries.get(id) ?? 0) + 1);
    return tries.get(id) === 1 ? Number(id) : 204;
  });
  const webhook = new Webhook(optionsOf(there.url, directory));
  for (const status of [...final, ...passing]) {
    webhook.tell({ id: String(status), build: String(status), event: 'build.queued', body: '{}' });
  }
  await until(() => webhook.waiting === 0);
  await webhook.close();
  for (const status of final) assert.is(tries.get(String(status)), 1, String(status));
  for (const status of passing) assert.is(tries.get(String(status)), 2, String(status));
});

test('what is not taken holds up the news of its own build alone', async () => {
  await using directory = await temporaryDirectory();
  let ready = false;
  await using there = await receiver(({ id }) => (ready || id !== 'a.queued' ? 200 : 503));
  const webhook = new Webhook(optionsOf(there.url, directory));
  const news = ['a.queued', 'a.running', 'b.queued', 'a.failed', 'b.running', 'b.failed'];
  for (const id of news) webhook.tell({ id, build: id.slice(0, 1), event: 'build.news', body: '{}' });
  await until(() => there.heard.some(({ id }) => id === 'b.failed') && webhook.waiting === 3);
  ready = true;
  await until(() => webhook.waiting === 0);
  await webhook.close();
  const toldOf = (build: string): string[] => [
    ...new Set(there.heard.map(({ id }) => id).filter((id) => id.startsWith(build))),
  ];
  assert.equal(toldOf('a'), ['a.queued', 'a.running', 'a.failed']);
  assert.equal(toldOf('b'), ['b.queued', 'b.running', 'b.failed']);
  assert.is(there.heard.filter(({ id }) => id === 'a.running').length, 1);
});

test('a queue has a bound, and its log names no secret of the URL', async () => {
  await using directory = await temporaryDirectory();
  await using there = await receiver(() => 500);
  const lines: string[] = [];
  const { pino } = await import('pino');
  const webhook = new Webhook({
    ...optionsOf(there.url, directory),
    log: pino({}, { write: (line) => lines.push(line) }),
    bounds: { deliveries: 2, bytes: 1000 },
  });
  for (const id of ['a', 'b', 'c', 'd']) webhook.tell({ id, build: 'a', event: 'build.failed', body: '{}' });
  assert.is(webhook.waiting, 2);
  await until(() => lines.some((line) => line.includes('was not told')));
  await webhook.close();
  assert.is(lines.filter((line) => line.includes('too much waiting')).length, 1);
  for (const line of lines) assert.match(line, '"build":"a"');
  assert.not.match(lines.join(''), /private|between us/);
});

test('a receiver that says nothing is asked again after its time', async () => {
  await using directory = await temporaryDirectory();
  let asked = 0;
  await using silent = await startServer((_request, response) => {
    if (++asked > 1) response.writeHead(204).end();
  });
  const webhook = new Webhook({
    ...optionsOf(new URL(`http://${silent.host}/`), directory),
    timing: { ...timing, answer: 500 },
  });
  // Node may take what limits a wait for garbage.
  using _collecting = keepCollecting();
  try {
    webhook.tell({ id: 'a', build: 'a', event: 'build.queued', body: '{}' });
    await until(() => webhook.waiting === 0);
    assert.ok(asked > 1);
  } finally {
    await webhook.close();
  }
});

test.run();

/** The events of a build, for whoever follows them, loses them, or takes none. */
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { runningCoordinator, testToken, type RunningCoordinator } from '../../support/running-coordinator.ts';
import { submit } from '../../support/submitted-builds.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import { begin } from '../../support/user-requests.ts';

/** Follows a build's events on a connection of its own; the stream stays open. */
async function follow(running: RunningCoordinator, build: string, after: number): Promise<IncomingMessage> {
  const url = new URL(`/v1/builds/${build}/events?follow=1&after=${after}`, running.url);
  return begin(url, testToken);
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

test('the log of a build that has ended ends with its result, though a power cut took the end of it', async () => {
  await using data = await temporaryDirectory();
  let build: string;
  let lines: string[];
  const durable = { data: data.path, cache: data.path };
  const log = (): string => join(data.path, 'logs', `${build}.ndjson`);
  {
    await using before = await runningCoordinator({}, undefined, durable);
    build = await submit(before);
    await before.ask(`/v1/builds/${build}/cancel`, { method: 'POST' });
    await before.ask(`/v1/builds/${build}/events?follow=1`);
    lines = (await readFile(log(), 'utf8')).trimEnd().split('\n');
  }
  const [result = '', ...lost] = [lines.at(-1), ...lines.slice(-3, -1)];
  assert.is(lost.length, 2);
  const { result: told } = JSON.parse(result);
  for (const query of ['follow=1', 'after=1', `follow=1&after=${lines.length - 3}`]) {
    await writeFile(log(), `${lines.slice(0, -3).join('\n')}\n`);
    await using after = await runningCoordinator({}, undefined, durable);
    // Whoever opens it twice must not find two.
    await after.ask(`/v1/builds/${build}/events?follow=1`);
    const answer = String((await after.ask(`/v1/builds/${build}/events?${query}`)).body);
    const last = JSON.parse(answer.trimEnd().split('\n').at(-1) ?? '');
    assert.equal([last.type, last.seq, last.result], ['result', lines.length - 2, told], query);
  }
});

test.run();

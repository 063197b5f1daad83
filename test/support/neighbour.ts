/** An agent and a client of a coordinator that have a build between them, and should not notice what others do. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import type { WebSocket } from 'ws';
import { ContextUpload } from '../../coordinator/cli/context-upload.ts';
import type { BuildSpec } from '../../coordinator/project/spec.ts';
import { toBuffer } from '../../shared/channel.ts';
import { decodeToAgent } from '../../shared/codec.ts';
import { dial } from '../../shared/dial.ts';
import type { ToAgent, ToCoordinator } from '../../shared/messages.ts';
import { amd64, sampleSpec } from './farm-fixtures.ts';
import { ask } from './http-request.ts';
import { dir, memoryTree } from './memory-tree.ts';
import { sampleHello } from './sample-messages.ts';
import { until } from './until.ts';

/** Milliseconds that an answer may take, on a machine that has other things to do. */
const patience = 10_000;

export const plainTree = memoryTree(dir(['Dockerfile', 'FROM scratch\n']));

/** Its directories, as they come along with a submission. */
export const plainRecords: readonly string[] = [...plainTree.records.values()].map((record) =>
  record.toString('base64'),
);

/** One that any coordinator takes. */
export function plainSpec(change: Partial<BuildSpec>): BuildSpec {
  return sampleSpec({
    platforms: [amd64],
    context: { root: plainTree.root, name: 'c', files: 1, bytes: 13 },
    dockerfile: { root: plainTree.root, name: 'Dockerfile' },
    ...change,
  });
}

export interface Neighbour extends AsyncDisposable {
  readonly build: string;
  /** A line of output to the follower and a beat, each with its answer. Throws where one has none, or the build has ended. */
  exchange(): Promise<void>;
}

/** Its build runs, for a registry that takes everything. */
export async function neighbourAt(coordinator: URL, registry: string): Promise<Neighbour> {
  const socket = dial('/v1/agent', { coordinator, token: undefined, trust: {} });
  let closed: string | undefined;
  socket.on('error', () => {});
  socket.on('close', (code, reason) => (closed = `${code} ${reason.toString()}`));
  await once(socket, 'open');
  const heard = counters(socket);
  const send = (message: ToCoordinator): void => socket.send(JSON.stringify(message));
  const answered = (check: () => boolean, what: string): Promise<true> =>
    until(
      () => {
        if (closed !== undefined) throw new Error(`the neighbour was hung up on: ${closed}`);
        return check();
      },
      { timeout: patience, every: 2, what },
    );
  const platforms = [{ platform: amd64, native: true }];
  send(sampleHello({ name: 'neighbour', session: 'neighbour-session', platforms, slots: 1 }));
  await answered(() => heard.welcomes === 1, 'the neighbour is welcomed');

  const link = randomBytes(12).toString('base64url');
  const upload = new ContextUpload({ coordinator, token: undefined, link, source: plainTree });
  const spec = plainSpec({ tags: [`${registry}/onap/neighbour`] });
  const submitted = await ask(new URL('/v1/builds', coordinator), { method: 'POST', body: { spec, link } });
  assert.is(submitted.status, 201, JSON.stringify(submitted.body));
  const { build } = v.parse(v.object({ build: v.string() }), submitted.body);
  const attempt = `${build}/${amd64}/1`;
  await answered(() => heard.offers === 1, 'the neighbour is offered its build');
  send({ type: 'accept', attempt });

  const stop = new AbortController();
  const events = await fetch(new URL(`/v1/builds/${build}/events?follow=1`, coordinator), {
    signal: stop.signal,
  });
  let shown = 0;
  const following = follow(events, (text) => {
    if (text.includes('"type":"log"')) shown += 1;
    else if (text.includes('"type":"result"')) closed = 'its build has ended';
  }).catch(() => {});

  let frames = 0;
  return {
    build,
    async exchange() {
      const beats = heard.beats + 1;
      frames += 1;
      const line = { type: 'log', time: Date.now(), step: 's', stream: 'stdout', text: `${frames}` } as const;
      send({ type: 'progress', attempt, frame: frames, events: [line] });
      send({ type: 'beat', state: 'ready' });
      const isDone = (): boolean => heard.beats >= beats && heard.frame >= frames && shown >= frames;
      await answered(isDone, `the neighbour's line ${frames} and its beat are answered`);
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await following;
      await upload.close();
      socket.terminate();
    },
  };
}

interface Heard {
  welcomes: number;
  offers: number;
  beats: number;
  /** The last one that was acknowledged. */
  frame: number;
}

/** Numbers and no messages: what this process holds is no matter, but it may run for long. */
function counters(socket: WebSocket): Heard {
  const heard: Heard = { welcomes: 0, offers: 0, beats: 0, frame: 0 };
  socket.on('message', (data) => {
    const message: ToAgent = decodeToAgent(toBuffer(data));
    if (message.type === 'welcome') heard.welcomes += 1;
    else if (message.type === 'offer') heard.offers += 1;
    else if (message.type === 'beat') heard.beats += 1;
    else if (message.type === 'acknowledge') heard.frame = message.frame;
  });
  return heard;
}

async function follow(answer: Response, line: (text: string) => void): Promise<void> {
  if (answer.body === null) throw new Error('no events');
  for await (const text of createInterface({ input: Readable.fromWeb(answer.body) })) line(text);
}

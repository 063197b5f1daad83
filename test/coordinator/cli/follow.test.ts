import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Api } from '../../../coordinator/cli/api.ts';
import { followBuild, type FollowOptions } from '../../../coordinator/cli/follow.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import type { Frame } from '../../../shared/progress.ts';
import { exampleFrames } from '../../support/frames.ts';
import { httpServer, type Handler } from '../../support/http-server.ts';

const pause = { first: 2, max: 4 };

async function follow(url: URL, options: Partial<FollowOptions> = {}): Promise<Frame[]> {
  using api = new Api({ url });
  const { signal } = new AbortController();
  const frames: Frame[] = [];
  for await (const frame of followBuild(api, 'b1', { signal, pause, ...options })) frames.push(frame);
  return frames;
}

function after(url: string | undefined): number {
  return Number(new URLSearchParams(url?.split('?')[1]).get('after'));
}

function line(frame: Frame): string {
  return `${JSON.stringify(frame)}\n`;
}

test('frames come once and in order over connections that break, repeat, leave out and refuse', async () => {
  let connection = 0;
  const handler: Handler = (request, response) => {
    const from = after(request.url);
    const rest = exampleFrames.slice(from);
    switch (connection++ % 5) {
      case 0: // breaks in the middle of a frame
        response.write(line(rest[0]!) + line(rest[1]!).slice(0, 20), () => response.destroy());
        return;
      case 1: // ends too early
        response.end(line(rest[0]!));
        return;
      case 2: // leaves one out
        response.end(line(rest[0]!) + line(rest[2] ?? rest[0]!));
        return;
      case 3: // a restart
        response.writeHead(503).end();
        return;
      default: // repeats what was seen
        response.end(
          exampleFrames
            .slice(0, from + 2)
            .map(line)
            .join(''),
        );
    }
  };
  await using server = await httpServer(handler);
  let breaks = 0;
  let retries = 0;
  const frames = await follow(server.url, {
    onBreak: () => breaks++,
    beforeRetry: async () => void retries++,
  });
  assert.equal(frames, exampleFrames);
  assert.is(retries, connection - 1);
  assert.ok(breaks > 0 && breaks < retries);
});

test('following goes on after a given frame and stops at the result, whatever comes then', async () => {
  await using server = await httpServer((request, response) => {
    assert.is(after(request.url), 5);
    response.write(exampleFrames.slice(5).map(line).join(''));
  });
  assert.equal(await follow(server.url, { after: 5 }), exampleFrames.slice(5));
});

test('a connection that held in silence for longer than the patience is not held against the coordinator', async () => {
  let connection = 0;
  await using server = await httpServer((_, response) => {
    const [first, ...rest] = exampleFrames;
    switch (connection++) {
      case 0:
        response.write(line(first!), () => response.destroy());
        return;
      case 1:
        response.flushHeaders();
        setTimeout(() => response.destroy(), 200);
        return;
      default:
        response.end(rest.map(line).join(''));
    }
  });
  let breaks = 0;
  assert.equal(await follow(server.url, { giveUp: 100, onBreak: () => breaks++ }), exampleFrames);
  assert.is(breaks, 2);
});

test('a coordinator that does not come back is given up, and the way back to the build is told', async () => {
  await using server = await httpServer((_, response) => void response.destroy());
  try {
    await follow(server.url, { giveUp: 30 });
    assert.unreachable();
  } catch (error) {
    assert.instance(error, ArchfarmError);
    assert.match(String(error), /lost the coordinator while following b1/);
    assert.ok(error instanceof ArchfarmError && error.hint?.includes('archfarm logs -f b1'));
  }
});

test('an answer that says no is not asked again', async () => {
  let calls = 0;
  const handler: Handler = (_, response) => {
    calls++;
    response.writeHead(404).end('{"error":{"code":"not-found","message":"no build b1"}}');
  };
  await using server = await httpServer(handler);
  try {
    await follow(server.url);
    assert.unreachable();
  } catch (error) {
    assert.match(String(error), /no build b1/);
  }
  assert.is(calls, 1);
});

test('an interrupt ends the waiting between two tries', async () => {
  const interrupted = new AbortController();
  await using server = await httpServer((_, response) => void response.destroy());
  try {
    await follow(server.url, {
      signal: interrupted.signal,
      pause: { first: 1e6, max: 1e6 },
      onBreak: () => setImmediate(() => interrupted.abort(new ArchfarmError('cancelled', 'interrupted'))),
    });
    assert.unreachable();
  } catch (error) {
    assert.match(String(error), /interrupted/);
  }
});

test.run();

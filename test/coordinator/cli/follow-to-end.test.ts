import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Api } from '../../../coordinator/cli/api.ts';
import { followToEnd, type Followed } from '../../../coordinator/cli/follow-to-end.ts';
import { Interrupts } from '../../../coordinator/cli/interrupts.ts';
import type { Frame } from '../../../shared/progress.ts';
import { exampleFrames } from '../../support/frames.ts';
import { httpServer } from '../../support/http-server.ts';
import { until } from '../../support/until.ts';

interface Scene extends AsyncDisposable {
  readonly interrupts: Interrupts;
  /** What was asked for besides events: `cancel`, `complete`. */
  readonly asked: readonly string[];
  readonly notes: readonly string[];
  readonly followed: Promise<Followed>;
  /** Ends the build. */
  end(): void;
}

type Answers = Readonly<Record<string, readonly number[]>>;

/** A build that goes on; the coordinator answers each request with these statuses in turn, the last one for ever. */
async function follow(
  answers: Answers,
  { local = false, waits = [] }: { local?: boolean; waits?: readonly string[] } = {},
): Promise<Scene> {
  const asked: string[] = [];
  const notes: string[] = [];
  let end = (): void => {};
  const server = await httpServer((request, response) => {
    const name = request.url?.split('?')[0]?.split('/').at(-1) ?? '';
    if (name === 'events') {
      response.write(lines(exampleFrames.slice(0, 2)));
      end = () => response.end(lines(exampleFrames.slice(2)));
      return;
    }
    asked.push(name);
    if (waits.includes(name)) return;
    const statuses = answers[name] ?? [500];
    const count = asked.filter((other) => other === name).length;
    response.writeHead(statuses[Math.min(count, statuses.length) - 1] ?? 500).end();
  });
  const api = new Api({ url: server.url });
  const interrupts = new Interrupts();
  const shown: Frame[] = [];
  const renderer = {
    show: (frame: Frame) => void shown.push(frame),
    note: (text: string) => void notes.push(text),
    [Symbol.dispose]: () => {},
  };
  const farm = { api, local, failed: new Promise<never>(() => {}) };
  const followed = followToEnd('b1', { farm, renderer, interrupts });
  followed.catch(() => {});
  await until(() => shown.length === 2, { what: 'the first frames are shown' });
  return {
    interrupts,
    asked,
    notes,
    followed,
    end: () => end(),
    async [Symbol.asyncDispose]() {
      end();
      await followed.catch(() => {});
      api[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

function lines(frames: readonly Frame[]): string {
  return frames.map((frame) => `${JSON.stringify(frame)}\n`).join('');
}

test('the first interrupt cancels the build, and it is followed to that end', async () => {
  await using scene = await follow({ cancel: [202] });
  scene.interrupts.take('SIGINT');
  await until(() => scene.asked.includes('cancel'));
  scene.end();
  assert.is((await scene.followed).type, 'ended');
  assert.equal(scene.asked, ['cancel']);
  assert.match(scene.notes.join('\n'), /interrupt again to leave it to the coordinator/);
});

test('a coordinator that is away is asked to cancel once it is back', async () => {
  await using scene = await follow({ cancel: [503, 202] });
  scene.interrupts.take('SIGTERM');
  await until(() => scene.asked.length === 2);
  scene.end();
  assert.is((await scene.followed).type, 'ended');
  assert.equal(scene.asked, ['cancel', 'cancel']);
});

test('a second interrupt leaves the build as soon as the coordinator needs nothing from here', async () => {
  await using scene = await follow({ cancel: [202], complete: [503, 204] });
  scene.interrupts.take('SIGINT');
  await until(() => scene.asked.includes('cancel'));
  scene.interrupts.take('SIGINT');
  assert.equal(await scene.followed, { type: 'left' });
  assert.equal(scene.asked, ['cancel', 'complete', 'complete']);
});

test('a build that ends while it waits to be left has ended', async () => {
  await using scene = await follow({ cancel: [202] }, { waits: ['complete'] });
  scene.interrupts.take('SIGINT');
  scene.interrupts.take('SIGINT');
  await until(() => scene.asked.includes('complete'));
  scene.end();
  assert.is((await scene.followed).type, 'ended');
});

test('what cannot be left is followed on', async () => {
  await using scene = await follow({ cancel: [202], complete: [400] });
  scene.interrupts.take('SIGINT');
  scene.interrupts.take('SIGINT');
  await until(() => scene.notes.some((note) => note.startsWith('it cannot be left: ')));
  scene.end();
  assert.is((await scene.followed).type, 'ended');
});

test('without a server a second interrupt is nothing to wait for', async () => {
  await using scene = await follow({ cancel: [202] }, { local: true });
  assert.ok(scene.interrupts.take('SIGINT'));
  assert.not(scene.interrupts.take('SIGINT'));
  await until(() => scene.asked.includes('cancel'));
  scene.end();
  assert.is((await scene.followed).type, 'ended');
  assert.match(scene.notes.join('\n'), /interrupt again to abort/);
});

test.run();

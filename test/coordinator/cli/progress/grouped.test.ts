import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Group } from '../../../../coordinator/cli/progress/ci/ci-system.ts';
import { GroupedRenderer } from '../../../../coordinator/cli/progress/grouped.ts';
import type { BuildEvent, Frame } from '../../../../shared/progress.ts';
import { exampleFrames } from '../../../support/frames.ts';
import { FakeScreen } from '../../../support/screen.ts';

interface Scene extends Disposable {
  readonly screen: FakeScreen;
  readonly groups: readonly Group[];
  show(event: BuildEvent, agent?: string): void;
  end(): void;
}

/** Groups are kept instead of written. */
function scene(): Scene {
  const screen = new FakeScreen({ isTTY: false });
  const groups: Group[] = [];
  const system = {
    group: (group: Group) => (groups.push(group), ''),
    annotations: () => [],
    summarize: async () => {},
  };
  const renderer = new GroupedRenderer(screen, { colours: false, guarded: false, system });
  let seq = 0;
  return {
    screen,
    groups,
    show: (event, agent = 'a') => {
      const frame: Frame = { ...event, seq: (seq += 1), build: 'b1', platform: 'linux/amd64', agent };
      renderer.show(frame);
    },
    end: () => {
      for (const frame of exampleFrames.slice(-1)) renderer.show(frame);
    },
    [Symbol.dispose]: () => renderer[Symbol.dispose](),
  };
}

const log = (text: string, time = 0): BuildEvent => ({
  type: 'log',
  time,
  step: 's',
  stream: 'stdout',
  text,
});

test('an attempt that is given up has a group of its own', () => {
  using shown = scene();
  shown.show({ type: 'state', time: 0, state: 'running', attempt: 1, native: true });
  shown.show(log('first', 500));
  shown.show({ type: 'state', time: 2000, state: 'queued', reason: 'the agent is lost' });
  shown.show({ type: 'state', time: 3000, state: 'running', attempt: 2, native: true }, 'b');
  shown.show(log('second', 3500), 'b');
  shown.show({ type: 'state', time: 4000, state: 'pushed' }, 'b');
  assert.equal(shown.groups, [
    {
      title: 'linux/amd64 on a (native): given up after 2.0s',
      lines: ['[linux/amd64] 0.000 first'],
      from: 500,
      to: 2000,
    },
    {
      title: 'linux/amd64 on b (native): pushed after 1.0s',
      lines: ['[linux/amd64] 0.000 second'],
      from: 3500,
      to: 4000,
    },
  ]);
});

test('a long log comes in several groups, and is complete', () => {
  using shown = scene();
  shown.show({ type: 'state', time: 0, state: 'running', attempt: 1, native: true });
  for (let line = 0; line < 3000; line++) shown.show(log(`${line} ${'x'.repeat(990)}`));
  shown.show({ type: 'state', time: 1000, state: 'failed' });
  assert.equal(
    shown.groups.map(({ title }) => title),
    [
      'linux/amd64 on a (native), part 1, goes on',
      'linux/amd64 on a (native), part 2, goes on',
      'linux/amd64 on a (native), part 3: failed after 1.0s',
    ],
  );
  for (const { lines } of shown.groups) assert.ok(lines.join('\n').length < 1.1 * 1024 * 1024);
  const numbers = shown.groups.flatMap(({ lines }) => lines.map((line) => Number(line.split(' ')[2])));
  assert.equal(
    numbers,
    Array.from({ length: 3000 }, (_, line) => line),
  );
});

test('what is there when a build is left is shown, once', () => {
  const shown = scene();
  shown.show({ type: 'state', time: 0, state: 'running', attempt: 1, native: false });
  shown.show(log('so far'));
  shown[Symbol.dispose]();
  shown[Symbol.dispose]();
  assert.equal(
    shown.groups.map(({ title }) => title),
    ['linux/amd64 on a (emulated)'],
  );
});

test('what comes after a platform has ended comes with the result', () => {
  using shown = scene();
  shown.show({ type: 'state', time: 0, state: 'pushed' });
  shown.show({ type: 'step', time: 1, step: 'verify', name: '[verify] it runs', status: 'started' });
  shown.show(log('proof', 1));
  assert.equal(shown.screen.text.split('\n'), ['[linux/amd64] pushed', '[linux/amd64 verify] it runs', '']);
  shown.end();
  assert.equal(shown.groups, [
    {
      title: 'linux/amd64 on a',
      lines: ['[linux/amd64 verify] it runs', '[linux/amd64] 0.000 proof'],
      from: 1,
      to: 1,
    },
  ]);
});

test('a long line that comes at once is cut, and whole in its group', () => {
  using shown = scene();
  const name = `[2/2] RUN ${'x'.repeat(500)}`;
  shown.show({ type: 'step', time: 1, step: 's', name, status: 'started' });
  assert.is(shown.screen.text.length, 161);
  shown.show({ type: 'state', time: 2, state: 'failed' });
  assert.equal(shown.groups[0]?.lines, [`[linux/amd64 2/2] RUN ${'x'.repeat(500)}`]);
});

test.run();

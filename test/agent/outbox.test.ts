import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Outbox } from '../../agent/outbox.ts';
import { limits } from '../../shared/messages.ts';
import type { TaskEvent } from '../../shared/progress.ts';
import { until } from '../support/until.ts';

function log(text: string): TaskEvent {
  return { type: 'log', time: 1, step: 's', stream: 'stdout', text };
}

interface Sent {
  readonly frame: number;
  readonly events: readonly TaskEvent[];
}

function outbox(progress = 60_000): { box: Outbox; sent: Sent[] } {
  const sent: Sent[] = [];
  return {
    box: new Outbox({ timers: { progress }, send: (frame, events) => sent.push({ frame, events }) }),
    sent,
  };
}

/** The coordinator takes all that comes. */
function takeAll({ box, sent }: { box: Outbox; sent: readonly Sent[] }): void {
  for (let taken = -1; taken !== sent.length;) {
    taken = sent.length;
    box.acknowledge(sent.at(-1)?.frame ?? 0);
  }
}

test('events wait for company, but not for long', async () => {
  const { box, sent } = outbox(20);
  box.push(log('a'));
  box.push(log('b'));
  assert.is(sent.length, 0);
  assert.is(box.lastFrame, 0);
  await until(() => sent.length === 1);
  assert.equal(sent, [{ frame: 1, events: [log('a'), log('b')] }]);
  box.push(log('c'));
  await until(() => sent.length === 2);
  assert.equal(sent[1], { frame: 2, events: [log('c')] });
  assert.is(box.lastFrame, 2);
});

test('a frame is sent before it is too large, and what is large alone goes alone', () => {
  const { box, sent } = outbox();
  const text = 'x'.repeat(20_000);
  for (let count = 0; count < 10; count++) box.push(log(text));
  box.push(log('y'.repeat(limits.progress)));
  box.close(9);
  assert.equal(
    sent.map(({ frame }) => frame),
    [1, 2, 3, 4, 5],
  );
  for (const { events } of sent.slice(0, 4))
    assert.ok(JSON.stringify(events).length <= limits.progress + 1000);
  assert.is(sent.flatMap(({ events }) => events).length, 11);
});

test('what was not acknowledged is sent again, in order and under its numbers', () => {
  const { box, sent } = outbox();
  for (const text of ['a', 'b', 'c']) {
    box.push(log(text));
    box.flush();
  }
  const first = sent.splice(0);
  box.acknowledge(1);
  box.resend();
  assert.equal(sent.splice(0), first.slice(1));
  box.acknowledge(0);
  box.acknowledge(99);
  box.resend();
  assert.equal(sent, []);
});

test('output that nobody takes is left out and said so once, in its place', () => {
  const { box, sent } = outbox();
  const text = 'x'.repeat(50_000);
  const pieces = Math.ceil(limits.unacknowledged / text.length) + 20;
  for (let count = 0; count < pieces; count++) box.push(log(text));
  box.flush();
  takeAll({ box, sent });
  const held = sent.flatMap(({ events }) => events).length;
  assert.ok(held * text.length <= limits.unacknowledged && held > pieces - 25, `${held} of ${pieces}`);
  sent.length = 0;
  box.push(log('after'));
  box.close(9);
  const [warning, after, ...rest] = sent.flatMap(({ events }) => events);
  assert.ok(warning?.type === 'warning');
  assert.match(warning.message, /^\d+ bytes of output were left out/);
  assert.equal(after, log('after'));
  assert.equal(rest, []);
});

test('progress of layers and of the context has the same bound, steps and warnings always come through', () => {
  const { box, sent } = outbox();
  const push: TaskEvent = {
    type: 'push',
    time: 1,
    layer: 'l'.repeat(200),
    status: 'Pushing',
    current: 1,
    total: 2,
  };
  const step: TaskEvent = { type: 'step', time: 2, step: 's', name: 'RUN x', status: 'failed' };
  for (let count = 0; count < 40_000; count++) box.push(push);
  box.push(step);
  box.close(3);
  takeAll({ box, sent });
  const events = sent.flatMap((frame) => frame.events);
  assert.ok(JSON.stringify(events).length < limits.unacknowledged * 1.1);
  assert.equal(events.at(-1), step);
  assert.not(events.some(({ type }) => type === 'warning'));
});

test('the end sends what waits and leaves no timer', () => {
  const { box, sent } = outbox();
  box.push(log('a'));
  box.close(5);
  assert.equal(sent, [{ frame: 1, events: [log('a')] }]);
  box.close(5);
  assert.is(sent.length, 1);
  const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout');
  assert.equal(timers, []);
});

test('no more is under way than the window, and the end is told when all of it has been sent', () => {
  const sent: number[] = [];
  let ended = 0;
  const box = new Outbox({
    timers: { progress: 60_000 },
    send: (frame) => sent.push(frame),
    ended: () => ended++,
  });
  const text = 'x'.repeat(60_000);
  for (let count = 0; count < 20; count++) box.push(log(text));
  box.close(9);
  box.end();
  const first = sent.length;
  assert.ok(first > 1 && first < 20, `${first} frames were sent at once`);
  assert.is(ended, 0);
  box.acknowledge(1);
  assert.equal(sent.slice(first), [first + 1]);
  box.acknowledge(first + 1);
  assert.ok(sent.length > first + 1);
  for (let count = 0; count < 20; count++) box.acknowledge(sent.at(-1) ?? 0);
  assert.equal(
    sent,
    Array.from({ length: 20 }, (_, index) => index + 1),
  );
  assert.ok(ended > 0);
});

test('a text that is too long for a message is clipped', () => {
  const { box, sent } = outbox();
  box.push({ type: 'step', time: 1, step: 's', name: `RUN ${'x'.repeat(300_000)}`, status: 'started' });
  box.close(2);
  assert.ok(JSON.stringify(sent[0]?.events).length < limits.text + 1000);
});

test.run();

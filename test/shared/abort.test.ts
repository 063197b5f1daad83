import { getEventListeners, once, setMaxListeners } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ChildAbort, delay, LaterAbort, reasonOf, untilAborted, within } from '../../shared/abort.ts';

function listeners(signal: AbortSignal): number {
  return getEventListeners(signal, 'abort').length;
}

async function thrownBy(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

test('a delay ends by its time, or with the reason of the signal', async () => {
  const controller = new AbortController();
  await delay(1, controller.signal);
  const reason = new Error('told to');
  const long = delay(60_000, controller.signal);
  assert.is(listeners(controller.signal), 1);
  controller.abort(reason);
  assert.is(await thrownBy(long), reason);
  assert.is(await thrownBy(delay(1, controller.signal)), reason);
  assert.is(listeners(controller.signal), 0);
});

test('work is waited for until the signal aborts', async () => {
  const controller = new AbortController();
  const { signal } = controller;
  assert.is(await untilAborted(Promise.resolve(7), signal), 7);
  const failure = new Error('failed');
  assert.is(await thrownBy(untilAborted(Promise.reject(failure), signal)), failure);
  const waiting = untilAborted(new Promise(() => {}), signal);
  controller.abort(new Error('told to'));
  assert.match(String(await thrownBy(waiting)), 'told to');
});

test('work that fails after the signal is nobody’s unhandled rejection', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', note);
  const controller = new AbortController();
  let fail = (_error: Error): void => {};
  const work = new Promise((_resolve, reject) => (fail = reject));
  const waiting = thrownBy(untilAborted(work, controller.signal));
  controller.abort();
  await waiting;
  fail(new Error('late'));
  await thrownBy(untilAborted(Promise.reject(new Error('later still')), controller.signal));
  await delay(5, new AbortController().signal);
  process.off('unhandledRejection', note);
  assert.equal(unhandled, []);
});

test('a long-lived signal keeps no listener of waits that are over', async () => {
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  await Promise.all(Array.from({ length: 50 }, () => delay(1, signal)));
  for (let round = 0; round < 50; round++) {
    await untilAborted(Promise.resolve(), signal);
    await thrownBy(untilAborted(Promise.reject(new Error('x')), signal));
  }
  assert.is(listeners(signal), 0);
});

test('any reason of a signal is given as an error', () => {
  const reason = new Error('x');
  assert.is(reasonOf(AbortSignal.abort(reason)), reason);
  assert.is(reasonOf(AbortSignal.abort('text')).message, 'text');
  assert.is(reasonOf(AbortSignal.abort()).name, 'AbortError');
});

test('work has its time, and fails with what is said when that is over or the signal aborts', async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const late = (): Error => new Error('too late');
  assert.is(await within(60_000, { signal, late }, async () => 7), 7);
  const hang = (limited: AbortSignal): Promise<void> => delay(60_000, limited);
  assert.match(String(await thrownBy(within(1, { signal, late }, hang))), 'too late');
  const reason = new Error('told to');
  const working = within(60_000, { signal, late }, hang);
  assert.is(listeners(signal), 1);
  controller.abort(reason);
  assert.is(await thrownBy(working), reason);
  assert.is(listeners(signal), 0);
  assert.is(await thrownBy(within(1, { signal, late }, hang)), reason);
});

test('a child aborts with the first of its parents or by itself, and they keep nothing of it when it is over', () => {
  const reason = new Error('told to');
  const [one, other] = [new AbortController(), new AbortController()];
  const child = new ChildAbort(one.signal, other.signal);
  other.abort(reason);
  assert.is(child.signal.reason, reason);
  one.abort();
  assert.is(child.signal.reason, reason);
  assert.is(new ChildAbort(new AbortController().signal, other.signal).signal.reason, reason);

  const parent = new AbortController();
  {
    using own = new ChildAbort(parent.signal);
    own.abort(reason);
    assert.not.ok(parent.signal.aborted);
    assert.is(listeners(parent.signal), 1);
  }
  assert.is(listeners(parent.signal), 0);
  assert.is(listeners(one.signal), 0);
});

test('a later abort comes after that of the other, also where that is over, and keeps nothing of it', async () => {
  const reason = new Error('enough');
  const other = new AbortController();
  using later = new LaterAbort(other.signal, 1);
  other.abort(reason);
  assert.not(later.signal.aborted);
  await once(later.signal, 'abort');
  assert.is(later.signal.reason, reason);
  using last = new LaterAbort(other.signal, 1);
  assert.not(last.signal.aborted);
  await once(last.signal, 'abort');

  const long = new AbortController();
  new LaterAbort(long.signal, 1)[Symbol.dispose]();
  assert.is(getEventListeners(long.signal, 'abort').length, 0);
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { writeMessage } from '../../../agent/engine/protobuf.ts';
import { Trace } from '../../../agent/engine/trace.ts';
import { Mask } from '../../../shared/mask/mask.ts';
import type { TaskEvent } from '../../../shared/progress.ts';

/** `moby.buildkit.v1.StatusResponse` with one VertexStatus: a layer of which so many bytes have come. */
function progress(current: number, { id = 'sha256:1', isOver = false } = {}): Buffer {
  const timestamp = writeMessage([[1, 1_700_000_000]]);
  const status = writeMessage([
    [1, id],
    [2, 'sha256:step'],
    [3, 'downloading'],
    [4, current],
    [5, 1000],
    [6, timestamp],
    ...(isOver ? [[8, timestamp] as const] : []),
  ]);
  return writeMessage([[2, status]]);
}

function output(text: string): Buffer {
  return writeMessage([
    [
      3,
      writeMessage([
        [1, 'sha256:step'],
        [3, 1],
        [4, text],
      ]),
    ],
  ]);
}

interface Traced {
  readonly trace: Trace;
  readonly events: readonly TaskEvent[];
  /** How many, since this was asked last, of work that no event tells of. */
  readonly signs: () => number;
}

function traced(): Traced {
  let signs = 0;
  const events: TaskEvent[] = [];
  const trace = new Trace({
    mask: new Mask(),
    onEvent: (event) => events.push(event),
    onSign: () => void (signs += 1),
  });
  const since = (): number => {
    const count = signs;
    signs = 0;
    return count;
  };
  return { trace, events, signs: since };
}

test('a layer that is pulled is a sign as often as more of it has come, and no event', () => {
  const { trace, events, signs } = traced();
  trace.push(progress(0));
  trace.push(progress(100));
  assert.is(signs(), 2);
  // The engine goes on telling of a download that stands still.
  for (let time = 0; time < 50; time += 1) trace.push(progress(100));
  assert.is(signs(), 0);
  trace.push(progress(100, { id: 'sha256:2' }));
  trace.push(progress(1000, { isOver: true }));
  assert.is(signs(), 2);
  assert.equal(events, []);
});

test('output is a sign before its line ends, and an event when it does', () => {
  const { trace, events, signs } = traced();
  trace.push(output('..'));
  trace.push(output('.'));
  assert.is(signs(), 2);
  assert.equal(events, []);
  trace.push(output('.\n'));
  assert.is(signs(), 0);
  assert.equal(
    events.map((event) => event.type === 'log' && event.text),
    ['....'],
  );
});

test.run();

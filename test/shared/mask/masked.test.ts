import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Mask } from '../../../shared/mask/mask.ts';
import { maskedEvent, maskedOutcome, maskedProof } from '../../../shared/mask/masked.ts';
import type { TaskEvent } from '../../../shared/progress.ts';

/** Also words of the protocol, which must stay. */
const mask = new Mask();
for (const secret of ['s3cret', 'step', 'failed', 'infrastructure', 'build-failed', 'warning', 'image'])
  mask.add(secret);

test('every text of an event is masked, and nothing else of it', () => {
  const events: TaskEvent[] = [
    { type: 'step', time: 1, step: 'step', name: 'RUN s3cret', status: 'failed', error: 'no s3cret' },
    { type: 'log', time: 1, step: 'step', stream: 'stdout', text: 'a s3cret' },
    { type: 'push', time: 1, layer: 'image', status: 's3cret pushed', current: 1 },
    { type: 'warning', time: 1, message: 's3cret' },
    { type: 'context', time: 1, engineBytes: 1, sentBytes: 1 },
  ];
  assert.equal(
    events.map((event) => maskedEvent(event, mask)),
    [
      { type: 'step', time: 1, step: 'step', name: 'RUN ***', status: 'failed', error: 'no ***' },
      { type: 'log', time: 1, step: 'step', stream: 'stdout', text: 'a ***' },
      { type: 'push', time: 1, layer: 'image', status: '*** pushed', current: 1 },
      { type: 'warning', time: 1, message: '***' },
      { type: 'context', time: 1, engineBytes: 1, sentBytes: 1 },
    ],
  );
});

test('how an attempt or a proof ended is told without secrets', () => {
  const error = { code: 'build-failed', message: 'exit s3cret', hint: 'use s3cret' } as const;
  const masked = { code: 'build-failed', message: 'exit ***', hint: 'use ***' };
  const failed = { status: 'failed', kind: 'infrastructure', error, timings: {}, sentBytes: 0 } as const;
  assert.equal(maskedOutcome(failed, mask), { ...failed, error: masked });
  assert.equal(maskedOutcome({ status: 'cancelled', reason: 's3cret' }, mask), {
    status: 'cancelled',
    reason: '***',
  });
  const proof = { status: 'failed', kind: 'image', error, output: 'it is s3cret', duration: 1 } as const;
  assert.equal(maskedProof(proof, mask), { ...proof, error: masked, output: 'it is ***' });
});

test.run();

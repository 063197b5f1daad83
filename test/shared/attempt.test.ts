import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatAttempt, parseAttempt } from '../../shared/attempt.ts';
import { decodeToCoordinator } from '../../shared/codec.ts';

const names = ['k2v7q9x3/linux/arm64/v8/1', 'b/linux/amd64/999999', '0/windows/amd64/12'];
const wrong = [
  '',
  'b/linux/1',
  'b/linux/amd64',
  'b/linux/amd64/0',
  'b/linux/amd64/01',
  'b/linux/amd64/1000000',
  'B/linux/amd64/1',
  'b/linux//amd64/1',
  'b/linux/amd64/v8/x/1',
  'b/linux/amd64/1\n',
  `${'b'.repeat(33)}/linux/amd64/1`,
  '../linux/amd64/1',
];

test('a name and its parts are the same thing', () => {
  assert.equal(parseAttempt('k2v7q9x3/linux/arm64/v8/1'), {
    build: 'k2v7q9x3',
    platform: 'linux/arm64/v8',
    number: 1,
  });
  for (const name of names) {
    const attempt = parseAttempt(name);
    assert.ok(attempt !== undefined && formatAttempt(attempt) === name, name);
  }
});

test('what names no attempt is none, in a message too', () => {
  for (const name of wrong) {
    assert.is(parseAttempt(name), undefined, name);
    const frame = Buffer.from(JSON.stringify({ type: 'accept', attempt: name }));
    assert.throws(() => decodeToCoordinator(frame), /attempt: not an attempt/, name);
  }
});

test.run();

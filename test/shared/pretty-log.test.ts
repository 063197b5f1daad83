import { stripVTControlCharacters } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { attemptFields } from '../../shared/attempt.ts';
import { prettyLine } from '../../shared/pretty-log.ts';

const plain = (record: object): string => stripVTControlCharacters(prettyLine(`${JSON.stringify(record)}\n`));

test('a record becomes a line for people', () => {
  const time = new Date(2026, 0, 2, 3, 4, 5).getTime();
  const line = plain({
    level: 40,
    time,
    name: 'archfarm',
    msg: 'could not publish',
    ...attemptFields('1r0/linux/arm64/v8/2'),
    agent: 'pi-01',
    error: { code: 'registry-denied', message: 'no "push"' },
    count: 3,
  });
  assert.is(
    line,
    '03:04:05 warn could not publish build=1r0 task=linux/arm64/v8 attempt=1r0/linux/arm64/v8/2 agent=pi-01 ' +
      'error="registry-denied: no \\"push\\"" count=3\n',
  );
});

test('what came over the network moves no cursor', () => {
  const line = plain({ level: 30, time: 0, msg: 'a\u001b[2Jb\nc', reason: 'x\u001b]0;title\u0007' });
  assert.not.match(line.trimEnd(), /\p{Cc}/u);
});

test('what is no record stays as it is', () => {
  assert.is(prettyLine('not JSON\n'), 'not JSON\n');
  assert.is(prettyLine('3\n'), '3\n');
});

test.run();

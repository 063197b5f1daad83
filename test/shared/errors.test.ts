import { readFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  ArchfarmError,
  exitStatusOf,
  fromErrorInfo,
  isErrorCode,
  messageOf,
  systemCode,
  toErrorInfo,
} from '../../shared/errors.ts';

test('every code stands for one of the documented exit statuses', () => {
  for (const [code, status] of Object.entries(exitStatusOf))
    assert.ok([1, 2, 3, 4, 78, 130].includes(status), `${code}: ${status}`);
  assert.is(new ArchfarmError('wrong-architecture', 'x').exitStatus, 1);
  assert.is(new ArchfarmError('unauthorized', 'x').exitStatus, 2);
  assert.is(new ArchfarmError('registry-denied', 'x').exitStatus, 3);
  assert.is(new ArchfarmError('no-agent', 'x').exitStatus, 4);
  assert.is(new ArchfarmError('cancelled', 'x').exitStatus, 130);
});

test('the README says of every code what its status is and what to do', async () => {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  const rows = [...readme.matchAll(/^\| `([a-z-]+)` +\| (\d+) +\| (.+?) +\| (.+?) +\|$/gm)];
  assert.equal(Object.fromEntries(rows.map(([, code = '', status]) => [code, Number(status)])), exitStatusOf);
});

test('only own codes are codes', () => {
  assert.ok(isErrorCode('usage'));
  for (const text of ['', 'Usage', 'constructor', 'toString', '__proto__']) assert.not(isErrorCode(text));
});

test('a message tells the causes that add something', () => {
  const refused = new Error('connect ECONNREFUSED 127.0.0.1:1');
  assert.is(messageOf(new Error('cannot dial', { cause: refused })), `cannot dial: ${refused.message}`);
  assert.is(
    messageOf(new Error(`cannot: ${refused.message}`, { cause: refused })),
    `cannot: ${refused.message}`,
  );
  assert.is(
    messageOf(Object.assign(new AggregateError([refused]), { code: 'ECONNREFUSED' })),
    'ECONNREFUSED',
  );
  assert.is(messageOf(new RangeError()), 'RangeError');
  assert.is(messageOf('thrown text'), 'thrown text');
  assert.is(messageOf(undefined), 'undefined');
});

test('causes that go in a circle have an end', () => {
  const first = new Error('first');
  const second = new Error('second', { cause: first });
  first.cause = second;
  assert.match(messageOf(first), /^first: second/);
});

test('an error travels with code, message and hint, and no more', () => {
  const error = new ArchfarmError('config', 'what', { hint: 'do', cause: new Error('secret') });
  assert.equal(toErrorInfo(error), { code: 'config', message: 'what', hint: 'do' });
  assert.equal(toErrorInfo(new ArchfarmError('config', 'what')), { code: 'config', message: 'what' });
  assert.equal(toErrorInfo(new TypeError('x')), { code: 'internal', message: 'x' });
  assert.equal(toErrorInfo('x', 'engine-error'), { code: 'engine-error', message: 'x' });
  const back = fromErrorInfo(toErrorInfo(error));
  assert.instance(back, ArchfarmError);
  assert.equal([back.code, back.message, back.hint], ['config', 'what', 'do']);
});

test('the code of a system error is its own', () => {
  assert.is(systemCode(Object.assign(new Error('x'), { code: 'ENOENT' })), 'ENOENT');
  assert.is(systemCode(Object.assign(new Error('x'), { code: 7 })), undefined);
  assert.is(systemCode({ code: 'ENOENT' }), undefined);
});

test.run();

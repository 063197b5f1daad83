import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatJoinToken, parseJoinToken } from '../../shared/join-token.ts';
import { errorOf } from '../support/command-grammar.ts';

const secret = randomBytes(24).toString('base64url');
const pin = `-${randomBytes(32).toString('base64url').slice(1)}`;

test('a token to join with is a word that no command takes for a flag, whatever certificate it tells of', () => {
  const token = formatJoinToken({ pin, secret });
  assert.is(
    errorOf({ program: 'archfarm-agent', args: ['join', 'wss://coordinator.lab:7480', token] }),
    undefined,
  );
  assert.equal(parseJoinToken(` ${token}\n`), { pin, secret });
});

test('what is no such token is refused without being told', () => {
  for (const text of ['', `${pin}.${secret}`, `afj_${pin}`, `afj_${pin}.${secret}x`]) {
    assert.throws(
      () => parseJoinToken(text),
      (error: Error) => !error.message.includes(secret),
    );
  }
});

test.run();

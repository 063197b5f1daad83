import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeToAgent, decodeToCoordinator } from '../../shared/codec.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { fuzzCases } from '../support/fuzz-cases.ts';
import { HostileJson } from '../support/hostile-json.ts';
import { messagesToAgent, messagesToCoordinator } from '../support/sample-messages.ts';

const sides = [
  { decode: decodeToCoordinator, hostile: new HostileJson(messagesToCoordinator) },
  { decode: decodeToAgent, hostile: new HostileJson(messagesToAgent) },
];

test('a hostile message is refused in a few words or is a message, and does nothing else', () => {
  const { count, random } = fuzzCases(5_000_000);
  let taken = 0;
  for (let round = 0; round < count; round += 1) {
    const { decode, hostile } = random.pick(sides);
    const frame = hostile.next(random);
    let message: object;
    try {
      message = decode(frame);
    } catch (error) {
      if (error instanceof ArchfarmError && error.code === 'protocol' && error.message.length < 500) continue;
      throw error;
    }
    taken += 1;
    // What was believed is a message through and through: it says the same when it is passed on.
    const said = JSON.stringify(message);
    assert.is(JSON.stringify(decode(Buffer.from(said))), said, `round ${round}: ${frame.toString()}`);
    assert.is(Object.getPrototypeOf(message), Object.prototype);
  }
  assert.is(Reflect.get({}, 'polluted'), undefined);
  // Neither all nor none: the damage reaches the checks of fields.
  assert.ok(taken > count / 50 && taken < count / 2, `${taken} of ${count} were taken`);
});

test.run();

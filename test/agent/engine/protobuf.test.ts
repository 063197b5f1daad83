import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readFields, textField, writeMessage } from '../../../agent/engine/protobuf.ts';

test('reads back what it wrote', () => {
  const value = fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }).filter((integer) => integer !== 0n),
    fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 2 ** 29 - 1 }), value)), (fields) => {
      const read = [...readFields(writeMessage(fields))];
      assert.is(read.length, fields.length);
      for (const [index, [number, written]] of fields.entries()) {
        assert.is(read[index]?.number, number);
        if (typeof written === 'bigint') assert.is(read[index]?.integer, BigInt.asUintN(64, written));
        else assert.equal(read[index]?.bytes, written);
      }
    }),
  );
});

test('throws on any message that is cut short, and never reads beyond it', () => {
  const message = writeMessage([
    [1, 'some text'],
    [2, 2n ** 63n],
    [16, Buffer.alloc(200)],
  ]);
  const ends = new Set([0, 11, 22, message.length]);
  for (let length = 0; length <= message.length; length++) {
    const read = (): unknown => [...readFields(message.subarray(0, length))];
    if (ends.has(length)) assert.not.throws(read);
    else assert.throws(read, /truncated/);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        textField(Buffer.from(bytes), 1);
      } catch (error) {
        assert.match(String(error), /truncated|malformed|unknown/);
      }
    }),
  );
});

test.run();

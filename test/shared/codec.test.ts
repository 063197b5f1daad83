import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeToAgent, decodeToCoordinator, UnknownMessage } from '../../shared/codec.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { limits, PROTOCOL_VERSION } from '../../shared/messages.ts';
import {
  messagesToAgent,
  messagesToCoordinator,
  sampleAttempt,
  sampleHello,
  sampleTask,
} from '../support/sample-messages.ts';

function frameOf(message: unknown): Buffer {
  return Buffer.from(JSON.stringify(message));
}

function refusal(decode: (frame: Buffer) => unknown, frame: Buffer | string): string {
  try {
    decode(Buffer.from(frame));
  } catch (error) {
    if (error instanceof ArchfarmError && error.code === 'protocol') return error.message;
    throw error;
  }
  throw new Error('it was taken');
}

test('every message comes out as it went in', () => {
  for (const message of messagesToCoordinator) assert.equal(decodeToCoordinator(frameOf(message)), message);
  for (const message of messagesToAgent) assert.equal(decodeToAgent(frameOf(message)), message);
});

test('a message of the other direction is not one of this [B8]', () => {
  const isBeat = (message: { type: string }): boolean => message.type === 'beat';
  for (const message of messagesToCoordinator.filter((each) => !isBeat(each))) {
    assert.match(refusal(decodeToAgent, frameOf(message)), `bad message "${message.type}": type: `);
  }
  for (const message of messagesToAgent.filter((each) => !isBeat(each)))
    assert.match(refusal(decodeToCoordinator, frameOf(message)), `bad message "${message.type}": type: `);
});

test('a type that neither side says is told from a message that is wrong: it is of another protocol [B8]', () => {
  const names: [decode: (frame: Buffer) => unknown, by: string][] = [
    [decodeToCoordinator, 'coordinator'],
    [decodeToAgent, 'agent'],
  ];
  const isUnknown = (decode: (frame: Buffer) => unknown, message: unknown): boolean => {
    try {
      decode(frameOf(message));
    } catch (error) {
      return error instanceof UnknownMessage;
    }
    throw new Error('it was taken');
  };
  for (const [decode, by] of names) {
    assert.match(
      refusal(decode, '{"type":"explode","loud":true}'),
      new RegExp(`^unknown message "explode": ${by} \\S+ speaks protocol ${PROTOCOL_VERSION}, update it$`),
    );
    for (const type of ['explode', 'constructor', '', 'x'.repeat(100_000), '\u001B[31m'])
      assert.ok(isUnknown(decode, { type }), type.slice(0, 40));
    const malformed = [
      {},
      { type: 1 },
      { type: null },
      { type: ['explode'] },
      [{ type: 'explode' }],
      'explode',
    ];
    for (const message of malformed) assert.not(isUnknown(decode, message), JSON.stringify(message));
    const others = decode === decodeToAgent ? messagesToCoordinator : messagesToAgent;
    for (const message of others.filter(({ type }) => type !== 'beat'))
      assert.not(isUnknown(decode, message), message.type);
  }
  const long = refusal(decodeToAgent, JSON.stringify({ type: 'x'.repeat(100_000) }));
  assert.ok(Buffer.byteLength(long) <= 123, 'a close has room for it');
});

test('what is no JSON is refused as such [B5]', () => {
  const beat = '{"type":"beat","state":"ready"}';
  const broken = ['', '{', beat.slice(0, -1), `\uFEFF${beat}`, `${beat}\0`, '{"type":"\0"}', '[1,]', 'nul'];
  for (const text of broken) assert.is(refusal(decodeToCoordinator, text), 'message is not JSON', text);
});

test('JSON that is no object is refused naming the message [B5]', () => {
  for (const text of ['null', '1', '"beat"', '[]', '{}', '[{"type":"beat"}]'])
    assert.match(refusal(decodeToCoordinator, text), /^bad message: (message|type): /, text);
});

test('nesting is taken to its limit and refused one level beyond [B6]', () => {
  const nested = (levels: number): string =>
    `{"type":"beat","deep":${'['.repeat(levels - 1)}"[[["${']'.repeat(levels - 1)}}`;
  assert.match(refusal(decodeToCoordinator, nested(limits.depth)), /^bad message "beat": /);
  assert.is(refusal(decodeToCoordinator, nested(limits.depth + 1)), 'message nested deeper than 32 levels');
  assert.is(refusal(decodeToCoordinator, nested(100_000)), 'message nested deeper than 32 levels');
});

test('a wrong field is named [B12]', () => {
  const hello = sampleHello();
  const log = { type: 'log', time: 1, step: 's', stream: 'stdout', text: 'x' };
  const progress = { type: 'progress', attempt: sampleAttempt, frame: 1 };
  const golden: [message: object, field: string][] = [
    [{ ...hello, name: '-rf' }, '"hello": name: not a name of an agent'],
    [{ ...hello, protocol: 1.5 }, '"hello": protocol: '],
    [{ ...hello, slots: -1 }, '"hello": slots: '],
    [{ ...hello, platforms: [{ platform: 'linux', native: true }] }, '"hello": platforms.0.platform: '],
    [{ ...hello, engine: { version: 'x' } }, '"hello": engine.apiVersion: '],
    [{ ...hello, state: 'asleep' }, '"hello": state: '],
    [{ ...hello, extra: 1 }, '"hello": extra: '],
    [{ type: 'accept', attempt: '../../etc/passwd' }, '"accept": attempt: not an attempt'],
    [{ type: 'accept' }, '"accept": attempt: '],
    [{ ...progress, frame: 0, events: [] }, '"progress": frame: '],
    [{ ...progress, events: [log, { ...log, time: 'now' }] }, '"progress": events.1.time: '],
    [{ ...progress, events: [{ ...log, type: 'state' }] }, '"progress": events.0.type: '],
    [
      {
        type: 'report',
        attempt: sampleAttempt,
        lastFrame: 0,
        outcome: {
          status: 'failed',
          kind: 'build',
          error: { code: 'nope', message: '' },
          timings: {},
          sentBytes: 0,
        },
      },
      '"report": outcome.error.code: unknown error code',
    ],
    [{ type: 'ask', attempt: sampleAttempt, ask: 1, question: { kind: 'root' } }, '"ask": question.kind: '],
  ];
  for (const [message, field] of golden)
    assert.match(refusal(decodeToCoordinator, frameOf(message)), `bad message ${field}`);
});

test('digests, sizes and platforms that are none are refused by field [B12]', () => {
  const [report] = messagesToCoordinator.filter(({ type }) => type === 'report');
  const text = JSON.stringify(report);
  const golden: [from: string | RegExp, to: string, field: string][] = [
    [/"digest":"[^"]+"/, '"digest":"sha256:abc"', 'outcome.image.digest'],
    [/"digest":"[^"]+"/, `"digest":"md5:${'a'.repeat(64)}"`, 'outcome.image.digest'],
    [/"digest":"[^"]+"/, `"digest":"sha256:${'A'.repeat(64)}"`, 'outcome.image.digest'],
    ['"size":500', '"size":-1', 'outcome.image.size'],
    ['"size":500', `"size":${2 ** 60}`, 'outcome.image.size'],
    ['"size":500', '"size":1e999', 'outcome.image.size'],
    ['"size":500', '"size":0.5', 'outcome.image.size'],
  ];
  for (const [from, to, field] of golden) {
    assert.match(
      refusal(decodeToCoordinator, text.replace(from, to)),
      `bad message "report": ${field}: `,
      to,
    );
  }
  for (const platform of ['linux/../x', 'linux/amd64/../..', '../../linux', 'linux/amd64\0', ''])
    assert.match(
      refusal(decodeToCoordinator, frameOf(sampleHello({ platforms: [{ platform, native: true }] }))),
      'bad message "hello": platforms.0.platform: ',
    );
});

test('numbers that JSON has and programs have not, repeated keys and halves of characters do no harm [B5]', () => {
  const beat = (frame: string): string =>
    `{"type":"progress","attempt":${JSON.stringify(sampleAttempt)},"frame":${frame},"events":[]}`;
  for (const number of ['9007199254740993', '1e999', '-0', '-1', '1.5', '1e-400'])
    assert.match(refusal(decodeToCoordinator, beat(number)), 'bad message "progress": frame: ', number);
  assert.match(
    refusal(decodeToCoordinator, '{"type":"beat","state":"ready","type":"x"}'),
    'unknown message "x": ',
  );
  const half = decodeToCoordinator(Buffer.from('{"type":"beat","state":"cordoned","reason":"\\ud800"}'));
  assert.equal(half, { type: 'beat', state: 'cordoned', reason: '\ud800' });
});

test('a refusal repeats no secret', () => {
  const answer = { kind: 'secret', value: 'hunter2 is no base64' };
  const frame = frameOf({ type: 'answer', attempt: sampleAttempt, ask: 1, answer });
  const message = refusal(decodeToAgent, frame);
  assert.match(message, 'answer.value: not base64');
  assert.not.match(message, 'hunter2');
});

test('keys that JavaScript reserves are refused and change no prototype [B7]', () => {
  for (const key of ['__proto__', 'constructor', 'prototype']) {
    const labels = `"labels":{"${key}":"x"}`;
    const text = JSON.stringify(sampleHello({ labels: {} })).replace('"labels":{}', labels);
    assert.match(refusal(decodeToCoordinator, text), 'bad message "hello": labels: reserved key', key);
  }
  const polluted = '{"type":"beat","state":"ready","__proto__":{"reason":"polluted"}}';
  try {
    assert.is(Object.getPrototypeOf(decodeToCoordinator(Buffer.from(polluted))), Object.prototype);
  } catch (error) {
    assert.instance(error, ArchfarmError);
  }
  assert.is(Reflect.get({}, 'reason'), undefined);
});

test('the longest image name that a registry takes fits into an offer', () => {
  const image = `${'r'.repeat(100)}.example:5000/${'n'.repeat(140)}-arm64v8:${'t'.repeat(128)}`;
  const offer = { type: 'offer', attempt: sampleAttempt, task: sampleTask({ image }) } as const;
  assert.equal(decodeToAgent(frameOf(offer)), offer);
});

test('random bytes, and messages with random damage, are refused with one kind of error', () => {
  const settles = (bytes: Uint8Array): void => {
    for (const decode of [decodeToAgent, decodeToCoordinator]) {
      try {
        decode(Buffer.from(bytes));
      } catch (error) {
        assert.ok(error instanceof ArchfarmError && error.code === 'protocol', String(error));
        assert.ok(error.message.length < 500);
      }
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), settles), { numRuns: 2000 });
  fc.assert(
    fc.property(fc.json(), (text) => settles(Buffer.from(text))),
    { numRuns: 1000 },
  );
  const whole = fc.constantFrom(...[...messagesToAgent, ...messagesToCoordinator].map(frameOf));
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
  const damaged = fc.tuple(whole, damage).map(([frame, places]) => {
    const copy = Buffer.from(frame);
    for (const [place, byte] of places) copy[place % copy.length] = byte;
    return copy;
  });
  fc.assert(fc.property(damaged, settles), { numRuns: 3000 });
});

test.run();

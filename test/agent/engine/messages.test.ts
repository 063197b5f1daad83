import { Readable } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { errorOf, readMessages, type EngineMessage } from '../../../agent/engine/messages.ts';

async function read(...chunks: readonly Buffer[]): Promise<EngineMessage[]> {
  const messages: EngineMessage[] = [];
  for await (const message of readMessages(Readable.from(chunks))) messages.push(message);
  return messages;
}

/** The text of what reading them throws. */
function failed(...chunks: readonly Buffer[]): Promise<string> {
  return read(...chunks).then(String, String);
}

test('reads the same messages wherever the stream is cut', async () => {
  const stream = Buffer.from(
    '{"status":"größe"}\r\n\n{"id":"x","aux":{"ID":"y"}}\n{"error":"é","errorDetail":{"message":"é!"}}',
  );
  for (let cut = 0; cut <= stream.length; cut++) {
    const messages = await read(stream.subarray(0, cut), stream.subarray(cut));
    assert.equal(messages.map(errorOf), [undefined, undefined, 'é!']);
    assert.is(messages[0]?.status, 'größe');
    assert.equal(messages[1]?.aux, { ID: 'y' });
  }
});

test('takes a progress or an error that is null for none', async () => {
  const [message] = await read(
    Buffer.from('{"status":"Pushing","errorDetail":null,"progressDetail":{"current":null,"total":null}}\n'),
  );
  assert.is(message?.status, 'Pushing');
  assert.is(message && errorOf(message), undefined);
});

test('refuses what is no message, and a line that never ends', async () => {
  assert.match(await failed(Buffer.from('<html>\n')), /no message: "<html>"/);
  assert.match(await failed(Buffer.from('{"status":7}\n')), /no message/);
  const chunk = Buffer.alloc(8 << 20, 'x');
  assert.match(await failed(chunk, chunk, chunk, chunk, chunk), /line of more than/);
});

test.run();

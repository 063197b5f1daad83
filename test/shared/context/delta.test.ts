import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Delta } from '../../../shared/context/delta.ts';
import {
  bytesOf,
  cutPieces,
  decodePieces,
  encodePieces,
  maxPiecesBytes,
  partsOf,
  piecesOf,
  type Part,
} from '../../../shared/context/pieces.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import { fuzzCases } from '../../support/fuzz-cases.ts';
import { randomContent } from '../../support/random-tree.ts';
import { Random } from '../../support/random.ts';

const kilobyte = 1024;

function base(content: Buffer | undefined): () => Promise<Buffer | undefined> {
  return () => Promise.resolve(content);
}

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return error instanceof ArchfarmError ? error.code : String(error);
  }
}

/** What a receiver with these bases asks for, and what it makes of the answer. */
async function sent(
  content: Buffer,
  bases: readonly Buffer[],
): Promise<{ readonly bytes: number; readonly made: Buffer | undefined } | undefined> {
  const record = piecesOf(content);
  const delta = await Delta.plan(decodePieces(record, content.length), bases.map(base));
  if (delta === undefined) return undefined;
  const parts = partsOf(content, delta.parts);
  return { bytes: record.length + parts.length, made: await delta.assemble(parts) };
}

test('of a chunk in which 4 KiB were overwritten, inserted or taken away, some pieces are sent', async () => {
  const random = new Random(7);
  const content = randomContent(random, 600 * kilobyte);
  const at = 300_000;
  const edit = randomContent(random, 4096);
  for (const [start, end] of [
    [content.subarray(0, at), content.subarray(at + edit.length)],
    [content.subarray(0, at), content.subarray(at)],
  ] as const) {
    const [next, without] = [Buffer.concat([start, edit, end]), Buffer.concat([start, end])];
    for (const [to, from] of [
      [next, content],
      [without, next],
    ] as const) {
      const answer = await sent(to, [from]);
      assert.ok(answer !== undefined && answer.made?.equals(to));
      assert.ok(answer.bytes < 16 * kilobyte, `${answer.bytes} bytes`);
    }
  }
  const other = randomContent(random, 600 * kilobyte);
  assert.is(await sent(other, [content]), undefined, 'what is not alike is taken whole');
  const same = await sent(content, [other, content]);
  assert.ok(same !== undefined && same.made?.equals(content));
  assert.is(same.bytes, piecesOf(content).length, 'nothing is asked for that is here');
});

test('whatever was edited, the content comes out', async () => {
  const { count, random } = fuzzCases(5000);
  for (let round = 0; round < count; round++) {
    const content = randomContent(random, random.between(1, 200_000));
    let next = content;
    for (let edit = random.between(0, 6); edit > 0; edit--) {
      const at = random.between(0, next.length + 1);
      const added = random.chance(0.2)
        ? Buffer.alloc(random.between(0, 40_000))
        : randomContent(random, random.between(0, 5000));
      next = Buffer.concat([next.subarray(0, at), added, next.subarray(at + random.between(0, 5000))]);
    }
    if (next.length === 0) continue;
    assert.equal(encodePieces(decodePieces(piecesOf(next), next.length)), piecesOf(next));
    const answer = await sent(next, [content]);
    if (answer === undefined) continue;
    assert.ok(answer.made?.equals(next));
    assert.ok(answer.bytes <= next.length + maxPiecesBytes(next.length));
  }
});

test('a base that is gone makes no content, and neither do other parts than those asked for', async () => {
  const random = new Random(11);
  const content = randomContent(random, 100 * kilobyte);
  const next = Buffer.concat([content, randomContent(random, 5000)]);
  let isThere = true;
  const delta = await Delta.plan(cutPieces(next), [() => Promise.resolve(isThere ? content : undefined)]);
  const parts = partsOf(next, delta?.parts ?? []);
  assert.ok((await delta?.assemble(parts))?.equals(next));
  assert.is(await delta?.assemble(parts.subarray(1)), undefined);
  isThere = false;
  assert.is(await delta?.assemble(parts), undefined);
});

test('a list of pieces that no content can have is refused, whatever it says', () => {
  const content = randomContent(new Random(13), 50_000);
  const good = piecesOf(content);
  const refused = (record: Buffer, size = content.length): void =>
    assert.is(
      codeOf(() => decodePieces(record, size)),
      'context-invalid',
    );
  refused(Buffer.alloc(0));
  refused(good.subarray(0, good.length - 1));
  refused(good, content.length - 1);
  refused(encodePieces([]));
  refused(encodePieces([{ id: '0'.repeat(16), size: 0 }]));
  refused(encodePieces([{ id: '0'.repeat(16), size: 65_535 }]));
  refused(encodePieces(Array.from({ length: 10 }, () => ({ id: '0'.repeat(16), size: 1 }))));
  refused(Buffer.concat([good, Buffer.alloc(10 * 100_000)]));
  const { count, random } = fuzzCases(100_000);
  for (let round = 0; round < count; round++) {
    const record = Buffer.from(good.subarray(0, random.between(0, good.length + 1)));
    if (record.length > 0) record[random.between(0, record.length)] = random.between(0, 256);
    const code = codeOf(() => decodePieces(record, content.length));
    assert.ok(code === undefined || code === 'context-invalid', code);
  }
});

test('parts that lie outside of a content, or in no order, are not given', () => {
  const content = Buffer.from('0123456789');
  assert.is(
    partsOf(content, [
      [0, 2],
      [2, 1],
      [9, 1],
    ]).toString(),
    '0129',
  );
  const wrong: readonly (readonly Part[])[] = [
    [[0, 11]],
    [[10, 1]],
    [[3, 0]],
    [[2 ** 53 - 1, 2 ** 53 - 1]],
    [
      [0, 5],
      [4, 2],
    ],
    [
      [5, 1],
      [0, 1],
    ],
    Array.from({ length: 64 }, () => [0, 10] as const),
  ];
  for (const parts of wrong)
    assert.is(
      codeOf(() => partsOf(content, parts)),
      'protocol',
    );
  assert.is(
    bytesOf([
      [0, 5],
      [7, 3],
    ]),
    8,
  );
});

test.run();

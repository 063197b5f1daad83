import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Chunker } from '../../../shared/context/chunker.ts';
import { maxChunkBytes, minChunkBytes, type Recipe } from '../../../shared/context/chunks.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { Random } from '../../support/random.ts';

/** Bytes that look random and are the same on every run. */
function bytes(seed: number, size: number): Buffer {
  const content = Buffer.alloc(size);
  for (let at = 0; at < size; at += 32) {
    createHash('sha256').update(`${seed}/${at}`).digest().copy(content, at);
  }
  return content;
}

function recipeOf(content: Buffer, pieces = (): number => 128 * 1024): Recipe {
  const chunker = new Chunker();
  for (let at = 0; at < content.length;) {
    const size = pieces();
    chunker.push(content.subarray(at, at + size));
    at += size;
  }
  return chunker.finish();
}

/** Bytes of the chunks of one that another lacks. */
function newBytes(recipe: Recipe, known: Recipe): number {
  const digests = new Set(known.map((chunk) => chunk.digest));
  return recipe.filter((chunk) => !digests.has(chunk.digest)).reduce((sum, chunk) => sum + chunk.size, 0);
}

const content = bytes(1, 12 * 1024 * 1024);
const whole = recipeOf(content);

test('the chunks are the content in its order, within their bounds', () => {
  let at = 0;
  for (const [index, { digest, size }] of whole.entries()) {
    assert.is(digestOf(content.subarray(at, at + size)), digest);
    assert.ok(
      size <= maxChunkBytes && (size >= minChunkBytes || index === whole.length - 1),
      `${size} bytes`,
    );
    at += size;
  }
  assert.is(at, content.length);
});

test('the cuts are those of every version and every machine', () => {
  assert.equal(
    whole.slice(0, 4).map((chunk) => chunk.size),
    [262_498, 317_833, 1_153_376, 807_468],
  );
});

test('how the content arrives makes no difference', () => {
  const random = new Random(7);
  const part = content.subarray(0, 6_000_000);
  const expected = recipeOf(part);
  for (const most of [5000, 100_000, 1_000_000, 10_000_000]) {
    assert.equal(
      recipeOf(part, () => random.between(1, most)),
      expected,
      `pieces of up to ${most} bytes`,
    );
  }
  const start = part.subarray(0, 300_000);
  assert.equal(
    recipeOf(start, () => 1),
    recipeOf(start),
    'single bytes',
  );
});

test('inserted, removed and changed bytes move only the chunks around them', () => {
  const random = new Random(3);
  const inserted = bytes(2, 5000);
  for (let round = 0; round < 4; round++) {
    const at = random.between(0, content.length);
    const [before, after] = [content.subarray(0, at), content.subarray(at)];
    for (const [name, edited] of [
      ['insertion', Buffer.concat([before, inserted, after])],
      ['removal', Buffer.concat([before, after.subarray(5000)])],
      ['change', Buffer.concat([before, inserted, after.subarray(inserted.length)])],
    ] as const) {
      const sent = newBytes(recipeOf(edited), whole);
      assert.ok(sent > 0 && sent <= 2 * maxChunkBytes, `${name} at ${at}: ${sent} new bytes`);
    }
  }
});

test('bytes without any variety are cut at the largest size', () => {
  const recipe = recipeOf(Buffer.alloc(2 * maxChunkBytes + 5));
  assert.equal(
    recipe.map((chunk) => chunk.size),
    [maxChunkBytes, maxChunkBytes, 5],
  );
});

test('nothing has no chunks', () => {
  assert.equal(new Chunker().finish(), []);
});

test.run();

import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  decodeRecipe,
  encodeRecipe,
  maxChunkBytes,
  maxRecipeBytes,
  minChunkBytes,
  type Recipe,
} from '../../../shared/context/chunks.ts';
import { ArchfarmError } from '../../../shared/errors.ts';

function recipeOf(...sizes: readonly number[]): Recipe {
  return sizes.map((size) => ({ digest: `sha256:${randomBytes(32).toString('hex')}`, size }));
}

function contentOf(recipe: Recipe): { digest: string; size: number } {
  return { digest: `sha256:${'0'.repeat(64)}`, size: recipe.reduce((sum, chunk) => sum + chunk.size, 0) };
}

function refusal(content: { digest: string; size: number }, record: Buffer): string {
  try {
    decodeRecipe(content, record);
  } catch (error) {
    if (error instanceof ArchfarmError && error.code === 'context-invalid') return error.message;
  }
  throw new Error('the record was taken');
}

test('a record gives its recipe back', () => {
  const recipe = recipeOf(minChunkBytes, maxChunkBytes, 1);
  const record = encodeRecipe(recipe);
  assert.equal(decodeRecipe(contentOf(recipe), record), recipe);
  assert.ok(record.length <= maxRecipeBytes(contentOf(recipe).size));
  assert.is(record.subarray(0, 18).toString(), 'archfarm recipe 1\0');
  assert.is(record.length, 18 + 3 * 36);
});

test('a recipe that makes another size is refused', () => {
  const recipe = recipeOf(minChunkBytes, minChunkBytes);
  const { digest, size } = contentOf(recipe);
  assert.match(refusal({ digest, size: size + 1 }, encodeRecipe(recipe)), 'and not');
  assert.match(refusal({ digest, size: size - 1 }, encodeRecipe(recipe)), 'and not');
});

test('chunks out of bounds are refused', () => {
  for (const recipe of [
    recipeOf(minChunkBytes - 1, minChunkBytes),
    recipeOf(minChunkBytes, maxChunkBytes + 1),
    recipeOf(minChunkBytes + 1, 0),
    recipeOf(0xffff_ffff),
  ]) {
    assert.match(refusal(contentOf(recipe), encodeRecipe(recipe)), 'has a chunk of');
  }
});

test('a record that was cut, stretched or is something else is refused', () => {
  const recipe = recipeOf(minChunkBytes, minChunkBytes, 77);
  const [content, record] = [contentOf(recipe), encodeRecipe(recipe)];
  for (let length = 0; length < record.length; length++) refusal(content, record.subarray(0, length));
  refusal(content, Buffer.concat([record, Buffer.alloc(1)]));
  refusal(content, Buffer.concat([record, record.subarray(18)]));
  refusal(content, randomBytes(record.length));
  refusal(content, Buffer.concat([Buffer.from('archfarm recipe 2\0'), record.subarray(18)]));
  refusal({ ...content, size: 0 }, encodeRecipe([]));
});

test('more chunks than a content of its size can have are refused before they are looked at', () => {
  const content = { digest: `sha256:${'0'.repeat(64)}`, size: 10 * minChunkBytes };
  assert.match(
    refusal(content, encodeRecipe(recipeOf(...Array.from({ length: 11 }, () => 1)))),
    'wrong length',
  );
});

test.run();

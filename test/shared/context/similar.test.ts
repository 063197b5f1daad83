import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeRecipe, type Chunk, type Recipe } from '../../../shared/context/chunks.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { KnownRecipes } from '../../../shared/context/similar.ts';

/** A chunk for each letter, of 1 MiB. */
function recipe(letters: string): Recipe {
  return letters.split('').map((letter) => ({ digest: digestOf(Buffer.from(letter)), size: 1024 * 1024 }));
}

function lettersOf(chunks: readonly Chunk[]): string {
  return chunks
    .map(({ digest }) =>
      Array.from('abcdefghijklmnopqrstuvwxyz').find((each) => digestOf(Buffer.from(each)) === digest),
    )
    .join('');
}

/** What each new chunk may have been made of, in the order of the new ones. */
function bases(next: string, ...known: readonly string[]): string {
  const records = known.map((letters) => encodeRecipe(recipe(letters)));
  return [...new KnownRecipes(records).basesOf(recipe(next))]
    .map(([, chunks]) => lettersOf(chunks))
    .join(' ');
}

test('a new chunk is made of what stood between its neighbours', () => {
  assert.is(bases('abXde', 'abcde'), 'c');
  assert.is(bases('abXYe', 'abcde'), 'cd cd');
  assert.is(bases('abXe', 'abcde'), 'cd');
  assert.is(bases('Xbcde', 'abcde'), 'a');
  assert.is(bases('abcdX', 'abcde'), 'e');
  assert.is(bases('aXcYe', 'abcde'), 'b d');
  assert.is(bases('abcde', 'abcde'), '');
});

test('a chunk that was put between two others may have something of either', () => {
  assert.is(bases('abXcde', 'abcde'), 'bc');
  assert.is(bases('abcdeX', 'abcde'), 'e');
  assert.is(bases('Xabcde', 'abcde'), 'a');
});

test('of a chunk that comes again and again, one that was changed is found', () => {
  assert.is(bases('azzXzzb', 'azzzzzb'), 'zz');
  assert.is(bases('zzXzz', 'zzzzz'), 'zz');
});

test('the content with most in common counts', () => {
  assert.is(bases('abXde', 'axxxx', 'abcde', 'fghij'), 'c');
  assert.is(bases('abXde', 'fghij'), '');
  assert.is(bases('abXde'), '');
});

test('what is more than a small edit is taken whole', () => {
  assert.is(bases('aNNNNNNNNNb', 'acb'), '');
  assert.is(bases('aXb', 'acccccccccb'), '');
});

test.run();

import { createHash } from 'node:crypto';
import { rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pack } from 'tar-stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { scanContext } from '../../../coordinator/context/scan.ts';
import { SnapshotSource, type Snapshot } from '../../../coordinator/context/snapshot.ts';
import { readTar } from '../../../coordinator/context/tar-context.ts';
import { buffers } from '../../../shared/context/buffers.ts';
import { decodeRecipe, encodeRecipe, type Recipe } from '../../../shared/context/chunks.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { Matcher } from '../../../shared/context/ignore.ts';
import { partsOf, piecesOf } from '../../../shared/context/pieces.ts';
import type { WantedItem } from '../../../shared/context/transfer-messages.ts';
import { failureOf } from '../../support/failure.ts';
import { collect } from '../../support/memory-tree.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../../support/temporary-directory.ts';

const signal = AbortSignal.timeout(300_000);
const large = pseudoRandom(9 * 1024 * 1024 + 12_345);
const digest = digestOf(large);
const size = large.length;
/** Long enough ago to be trusted by a stat cache. */
const past = 1_000_000;

function pseudoRandom(bytes: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(bytes / 32) }, (_, index) =>
    createHash('sha256').update(String(index)).digest(),
  );
  return Buffer.concat(blocks).subarray(0, bytes);
}

async function directoryWithLarge(): Promise<TemporaryDirectory & { readonly file: string }> {
  const directory = await temporaryDirectory();
  const file = join(directory.path, 'large');
  await writeFile(file, large);
  await writeFile(join(directory.path, 'small'), 'small');
  return { ...directory, file };
}

async function recipeOf(source: SnapshotSource): Promise<Recipe> {
  const { chunks, size: bytes } = await source.open({ kind: 'recipe', digest, size, offset: 0 }, signal);
  const record = await collect(chunks);
  assert.is(record.length, bytes);
  return decodeRecipe({ digest, size }, record);
}

async function chunk(source: SnapshotSource, recipe: Recipe, index: number): Promise<Buffer> {
  const offset = recipe.slice(0, index).reduce((sum, each) => sum + each.size, 0);
  const wanted = recipe[index];
  assert.ok(wanted);
  const content = await source.open({ kind: 'chunk', ...wanted, offset, of: digest, ofSize: size }, signal);
  assert.is(content.size, wanted.size);
  return collect(content.chunks);
}

async function whole(snapshot: Snapshot): Promise<Buffer> {
  const source = new SnapshotSource([snapshot]);
  const recipe = await recipeOf(source);
  assert.ok(recipe.length > 4);
  return Buffer.concat(await Promise.all(recipe.map((_, index) => chunk(source, recipe, index))));
}

test('a large file is given as its recipe and the chunks of it', async () => {
  await using directory = await directoryWithLarge();
  const snapshot = await scanContext(directory.path, { signal });
  assert.ok(snapshot.recipes.has(digest));
  assert.ok((await whole(snapshot)).equals(large));
});

test('a large file whose digest was remembered is read for its recipe when that is asked for', async () => {
  await using directory = await directoryWithLarge();
  const snapshot = await scanContext(directory.path, { signal });
  const remembered = { ...snapshot, recipes: new Map() };
  assert.ok((await whole(remembered)).equals(large));
  const source = new SnapshotSource([remembered]);
  const aborted = source.open(
    { kind: 'recipe', digest, size, offset: 0 },
    AbortSignal.abort(new Error('gone')),
  );
  const [first, second] = await Promise.allSettled([aborted, recipeOf(source)]);
  assert.is(first.status, 'rejected');
  // Whoever asked before and left takes nobody along.
  assert.is(second.status, 'fulfilled');
});

test('a large file in an archive is given the same way', async () => {
  const archive = pack();
  archive.entry({ name: 'before' }, 'text');
  archive.entry({ name: 'large' }, large);
  archive.entry({ name: 'after' }, 'more');
  archive.finalize();
  await using tar = await readTar(buffers(archive), { name: 'a.tar', signal });
  const snapshot = tar.snapshot(new Matcher([]));
  assert.ok((await whole(snapshot)).equals(large));
  const after = digestOf(Buffer.from('more'));
  const { chunks } = await new SnapshotSource([snapshot]).open(
    { kind: 'blob', digest: after, size: 4, offset: 1 },
    signal,
  );
  assert.equal((await collect(chunks)).toString(), 'ore');
});

test('pieces and parts of a chunk and of a recipe are given, within their bounds', async () => {
  await using directory = await directoryWithLarge();
  const source = new SnapshotSource([await scanContext(directory.path, { signal })]);
  const recipe = await recipeOf(source);
  const record = encodeRecipe(recipe);
  const [first] = recipe;
  assert.ok(first);
  const place = { ...first, offset: 0, of: digest, ofSize: size };
  const bytes = large.subarray(0, first.size);
  const given = async (item: WantedItem): Promise<Buffer> => {
    const content = await source.open(item, signal);
    const all = await collect(content.chunks);
    assert.is(all.length, content.size);
    return all;
  };
  const parts = [
    [1, 2],
    [10, 20],
  ] as const;
  const ofRecipe = { digest, size, offset: 0 };
  assert.equal(await given({ kind: 'chunk-pieces', ...place }), piecesOf(bytes));
  assert.equal(await given({ kind: 'chunk-parts', ...place, parts }), partsOf(bytes, parts));
  assert.equal(await given({ kind: 'recipe-pieces', ...ofRecipe }), piecesOf(record));
  assert.equal(await given({ kind: 'recipe-parts', ...ofRecipe, parts }), partsOf(record, parts));
  const beyond = [[first.size - 1, 2]] as const;
  for (const item of [
    { kind: 'chunk-parts', ...place, parts: beyond },
    { kind: 'recipe-parts', ...ofRecipe, parts: beyond },
    { kind: 'chunk-pieces', ...place, offset: size },
  ] as const) {
    assert.is((await failureOf(source.open(item, signal))).code, 'protocol');
  }
  await writeFile(directory.file, 'x', { flag: 'a' });
  const error = await failureOf(source.open({ kind: 'chunk-parts', ...place, parts }, signal));
  assert.is(error.code, 'context-changed');
  assert.match(error.message, /large/);
});

test('chunks of a file that changed are an error that names it', async () => {
  const changes: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
    'other bytes under the same size and time': async (path) => {
      await writeFile(path, Buffer.concat([Buffer.from('!'), large.subarray(1)]));
      await utimes(path, past, past);
    },
    grew: (path) => writeFile(path, Buffer.concat([large, large])),
    shrank: (path) => writeFile(path, large.subarray(0, 1000)),
    vanished: (path) => rm(path),
    'was touched': (path) => utimes(path, 1, 1),
  };
  for (const [what, change] of Object.entries(changes)) {
    await using directory = await directoryWithLarge();
    await utimes(directory.file, past, past);
    const snapshot = await scanContext(directory.path, { signal });
    const source = new SnapshotSource([snapshot]);
    const recipe = await recipeOf(source);
    await change(directory.file);
    const error = await failureOf(chunk(source, recipe, 0));
    assert.is(error.code, 'context-changed', what);
    assert.match(error.message, /^"large" changed/, what);
    const unread = new SnapshotSource([{ ...snapshot, recipes: new Map() }]);
    assert.is((await failureOf(recipeOf(unread))).code, 'context-changed', what);
  }
});

test('what no tree holds, and chunks beyond a content, are errors', async () => {
  await using directory = await directoryWithLarge();
  const source = new SnapshotSource([await scanContext(directory.path, { signal })]);
  const other = digestOf(Buffer.from('nowhere'));
  for (const kind of ['blob', 'directory', 'recipe'] as const) {
    assert.is(
      (await failureOf(source.open({ kind, digest: other, size: 1, offset: 0 }, signal))).code,
      'blobs-lost',
    );
  }
  const beyond = {
    kind: 'chunk',
    digest: other,
    size: 10,
    offset: size - 9,
    of: digest,
    ofSize: size,
  } as const;
  assert.is((await failureOf(source.open(beyond, signal))).code, 'protocol');
  const huge = { ...beyond, size: 3 * 1024 * 1024, offset: 0 };
  assert.is((await failureOf(source.open(huge, signal))).code, 'protocol');
});

test.run();

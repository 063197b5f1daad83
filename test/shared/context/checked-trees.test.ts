import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CheckedTrees } from '../../../shared/context/checked-trees.ts';
import { defaultLimits } from '../../../shared/context/limits.ts';
import type { Digest } from '../../../shared/context/tree.ts';
import { failureOf } from '../../support/failure.ts';
import { dir, memoryTree, type MemoryTree } from '../../support/memory-tree.ts';

const options = { limits: defaultLimits, signal: AbortSignal.timeout(300_000) };

/** A tree whose reads are noted. */
function counted(tree: MemoryTree): MemoryTree & { readonly reads: Digest[] } {
  const reads: Digest[] = [];
  return {
    ...tree,
    reads,
    directory(digest, signal) {
      reads.push(digest);
      return tree.directory(digest, signal);
    },
  };
}

/** A store that has these until they are deleted. */
function storeOf(...digests: Iterable<Digest>[]): Set<Digest> & {
  has: (item: { readonly digest: Digest }) => Promise<boolean>;
} {
  const held = new Set(digests.flatMap((some) => [...some]));
  return Object.assign(held, {
    has: async ({ digest }: { readonly digest: Digest }) => Set.prototype.has.call(held, digest),
  });
}

test('a tree that was checked is not read again, and is known by the same facts', async () => {
  const tree = counted(memoryTree(dir(['a', 'one'], ['sub', dir(['b', { hardlink: 'a' }])])));
  const trees = new CheckedTrees(storeOf(tree.records.keys(), tree.allTimes.keys()));
  const first = await trees.fetch(tree, tree, options);
  assert.is(tree.reads.length > 0, true);
  tree.reads.length = 0;
  const second = await trees.fetch(tree, tree, options);
  assert.equal(tree.reads, []);
  assert.is(second.files, first.files);
  assert.equal([...second.digests], [...first.digests]);
});

test('a tree one of whose directories has left the store is brought again', async () => {
  const tree = counted(memoryTree(dir(['sub', dir(['b', 'two'])])));
  const store = storeOf(tree.records.keys(), tree.allTimes.keys());
  const trees = new CheckedTrees(store);
  await trees.fetch(tree, tree, options);
  const [below = ''] = [...tree.records.keys()].filter((digest) => digest !== tree.root);
  store.delete(below);
  tree.reads.length = 0;
  await trees.fetch(tree, tree, options);
  assert.equal(tree.reads, [tree.root, below]);
});

test('a tree with other times, or whose times have left the store, is brought again', async () => {
  const tree = counted(memoryTree(dir(['sub', dir(['b', 'two'])])));
  const other = memoryTree(dir(['sub', dir(['b', 'two'], ['c', 'three'])]));
  const store = storeOf(tree.records.keys(), tree.allTimes.keys());
  const trees = new CheckedTrees(store);
  await trees.fetch(tree, tree, options);
  assert.is(
    (await failureOf(trees.fetch({ ...tree, times: other.times }, other, options))).code,
    'context-invalid',
  );
  tree.reads.length = 0;
  store.delete(tree.times.digest);
  await trees.fetch(tree, tree, options);
  assert.is(tree.reads.length, 2);
});

test('a tree that other limits allowed is checked by those it must keep', async () => {
  const tree = memoryTree(dir(['a', 'one'], ['b', 'two']));
  const trees = new CheckedTrees(storeOf(tree.records.keys(), tree.allTimes.keys()));
  await trees.fetch(tree, tree, options);
  const limits = { ...defaultLimits, entries: 1 };
  const error = await failureOf(trees.fetch(tree, tree, { ...options, limits }));
  assert.is(error.code, 'context-limit');
});

test('what is remembered is bounded, and goes in the order of use', async () => {
  const treeOf = (name: string): ReturnType<typeof counted> => counted(memoryTree(dir([name, name])));
  const [x, y, z] = [treeOf('x'), treeOf('y'), treeOf('z')];
  const three = [x, y, z];
  const trees = new CheckedTrees(
    storeOf(...three.flatMap(({ records, allTimes }) => [records.keys(), allTimes.keys()])),
    6,
  );
  // Three digests each: there is room for two trees.
  for (const tree of [x, y, x, z]) await trees.fetch(tree, tree, options);
  for (const tree of three) tree.reads.length = 0;
  for (const tree of [x, z]) await trees.fetch(tree, tree, options);
  assert.equal([...x.reads, ...z.reads], []);
  await trees.fetch(y, y, options);
  assert.equal(y.reads, [y.root]);
});

test.run();

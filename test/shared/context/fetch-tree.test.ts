import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeDirectory, encodeDirectory } from '../../../shared/context/encoding.ts';
import { fetchTree } from '../../../shared/context/fetch-tree.ts';
import { defaultLimits, type ContextLimits } from '../../../shared/context/limits.ts';
import { dir, memoryTree, type MemoryTree } from '../../support/memory-tree.ts';
import { failureOf } from '../../support/failure.ts';

function fetch(
  tree: Pick<MemoryTree, 'root' | 'directory'>,
  limits: Partial<ContextLimits> = {},
): ReturnType<typeof fetchTree> {
  return fetchTree(tree.root, tree, {
    limits: { ...defaultLimits, ...limits },
    signal: AbortSignal.timeout(5000),
  });
}

test('counts files, bytes and entries, and names all digests', async () => {
  const tree = memoryTree(
    dir(['a', 'one'], ['b', dir(['c', 'three'], ['d', { hardlink: 'a' }], ['e', { link: 'x' }])]),
  );
  const { files, bytes, entries, digests } = await fetch(tree);
  assert.equal({ files, bytes, entries }, { files: 2, bytes: 8, entries: 5 });
  assert.equal([...digests].toSorted(), [...tree.records.keys(), ...tree.blobs.keys()].toSorted());
});

test('every limit is an error that says which, the value and how to raise it', async () => {
  const tree = memoryTree(dir(['directory', dir(['file', 'content'], ['more', 'x'])]));
  const cases: readonly [Partial<ContextLimits>, RegExp][] = [
    [{ entries: 2 }, /3 files, directories and links, more than the limit of 2/],
    [{ bytes: 7 }, /8 bytes of files, more than the limit of 7/],
    [{ pathBytes: 13 }, /"directory\/file" has 14 bytes in a path/],
    [{ nameBytes: 8 }, /"directory" has 9 bytes in a name/],
  ];
  for (const [limits, message] of cases) {
    const error = await failureOf(fetch(tree, limits));
    assert.is(error.code, 'context-limit');
    assert.match(error.message, message);
    assert.ok(error.hint);
  }
});

test('a few records that describe a tree without end are refused at the limit', async () => {
  const records = new Map<string, Buffer>();
  let root = '';
  for (let level = 0; level < 60; level++) {
    const names = level === 0 ? [] : ['a', 'b'];
    const { digest, record } = encodeDirectory({
      entries: names.map((name) => ({ type: 'directory', name, mode: 0o755, digest: root })),
      mtimes: names.map(() => 0n),
    });
    records.set(digest, record);
    root = digest;
  }
  const error = await failureOf(
    fetch(
      {
        root,
        directory: async (digest) => decodeDirectory(digest, records.get(digest) ?? Buffer.alloc(0)),
      },
      { entries: 10_000 },
    ),
  );
  assert.is(error.code, 'context-limit');
});

test('refuses a hard link that leads to no earlier file', async () => {
  const error = await failureOf(fetch(memoryTree(dir(['a', { hardlink: 'b' }], ['b', 'later']))));
  assert.is(error.code, 'context-invalid');
  assert.match(error.message, /"a" is a hard link to "b"/);
});

test.run();

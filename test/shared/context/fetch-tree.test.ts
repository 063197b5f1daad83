import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeDirectory, encodeDirectory } from '../../../shared/context/encoding.ts';
import { fetchTree } from '../../../shared/context/fetch-tree.ts';
import { defaultLimits, type ContextLimits } from '../../../shared/context/limits.ts';
import type { ContextSource, TimesId, TreeId } from '../../../shared/context/tree.ts';
import { dir, memoryTree } from '../../support/memory-tree.ts';
import { failureOf } from '../../support/failure.ts';

function fetch(
  tree: TreeId & ContextSource,
  limits: Partial<ContextLimits> = {},
): ReturnType<typeof fetchTree> {
  return fetchTree(tree, tree, {
    limits: { ...defaultLimits, ...limits },
    signal: AbortSignal.timeout(5000),
  });
}

test('counts files, bytes and entries, and names all digests', async () => {
  const tree = memoryTree(
    dir(['a', 'one'], ['b', dir(['c', 'three'], ['d', { hardlink: 'a' }], ['e', { link: 'x' }])]),
  );
  const { files, bytes, entries, digests, times } = await fetch(tree);
  assert.equal({ files, bytes, entries }, { files: 2, bytes: 8, entries: 5 });
  assert.equal(
    [...digests].toSorted(),
    [...tree.records.keys(), ...tree.allTimes.keys(), ...tree.blobs.keys()].toSorted(),
  );
  assert.equal([...times].toSorted(), [...tree.allTimes.keys()].toSorted());
});

test('every limit is an error that says which, the value and how to raise it [X7, X8]', async () => {
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

test('a few records that describe a tree without end are refused at the limit [X7]', async () => {
  const records = new Map<string, Buffer>();
  let root = '';
  for (let level = 0; level < 60; level++) {
    const names = level === 0 ? [] : ['a', 'b'];
    const { digest, record } = encodeDirectory({
      entries: names.map((name) => ({ type: 'directory', name, mode: 0o755, digest: root })),
    });
    records.set(digest, record);
    root = digest;
  }
  let reads = 0;
  const error = await failureOf(
    fetch(
      {
        root,
        directory: async (digest) => {
          reads += 1;
          return decodeDirectory(digest, records.get(digest) ?? Buffer.alloc(0));
        },
        blob: () => Promise.reject(new Error('it has no times')),
      },
      { entries: 10_000 },
    ),
  );
  assert.is(error.code, 'context-limit');
  // Nor are they read anew for each of the places where they are.
  assert.ok(reads < 500, `${reads} reads of ${records.size} records`);
});

test('refuses times that are not those of their directory, or are said to be larger than any can be', async () => {
  const tree = memoryTree(dir(['a', 'one'], ['b', dir(['c', 'two'])]));
  const other = memoryTree(dir(['a', 'one'], ['b', dir()]));
  const cases: readonly [TimesId, RegExp][] = [
    [other.times, /times that are not those of the directory/],
    [{ ...tree.times, size: 2 ** 40 }, /1099511627776 bytes of times of one directory/],
  ];
  for (const [times, message] of cases) {
    const blob: ContextSource['blob'] = async (digest, size, signal) =>
      (tree.allTimes.has(digest) ? tree : other).blob(digest, size, signal);
    const error = await failureOf(fetch({ ...tree, times, blob }));
    assert.is(error.code, 'context-invalid');
    assert.match(error.message, message);
  }
});

test('refuses a hard link that leads to no earlier file [X2]', async () => {
  const error = await failureOf(fetch(memoryTree(dir(['a', { hardlink: 'b' }], ['b', 'later']))));
  assert.is(error.code, 'context-invalid');
  assert.match(error.message, /"a" is a hard link to "b"/);
});

test.run();

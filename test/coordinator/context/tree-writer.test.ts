import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ContextFile } from '../../../coordinator/context/context-file.ts';
import { TreeWriter } from '../../../coordinator/context/tree-writer.ts';
import { compareNames, decodeDirectory, digestOf } from '../../../shared/context/encoding.ts';
import { defaultLimits } from '../../../shared/context/limits.ts';
import { dir, memoryTree, type Branch } from '../../support/memory-tree.ts';

interface Written {
  readonly digest: string;
  readonly path: string;
}

function fileOf({ path, size, mtime }: { path: string; size: number; mtime: bigint }): ContextFile {
  return { path: `/context/${path}`, name: path, size, mtime };
}

/** Writes the branches in the order of a tree; gives the files by their numbers. */
function write(tree: TreeWriter, branches: Map<string, Branch>, files: Written[] = [], path = ''): Written[] {
  const sorted = [...branches].toSorted(([left], [right]) => compareNames(left, right));
  for (const [index, [name, branch]] of sorted.entries()) {
    const [at, mtime] = [`${path}${name}`, BigInt(index)];
    if (branch instanceof Map) {
      tree.enter(name);
      write(tree, branch, files, `${at}/`);
      tree.leave({ name, mode: 0o755, mtime });
    } else if (typeof branch === 'string' || Buffer.isBuffer(branch)) {
      const content = Buffer.from(branch);
      files[tree.file({ name, mode: 0o644, mtime, size: content.length })] = {
        digest: digestOf(content),
        path: at,
      };
    } else if ('link' in branch) {
      tree.symlink({ name, mtime }, branch.link);
    } else {
      tree.hardlink(
        { name, mtime },
        files.findIndex((file) => file.path === branch.hardlink),
      );
    }
  }
  return files;
}

const branches = dir(
  ['a', 'first'],
  ['dir', dir(['empty', dir()], ['nested', dir(['ü💡\n', 'second'], ['twin', { hardlink: 'a' }])])],
  ['dir.txt', 'first'],
  ['link', { link: 'dir/nested' }],
  ['zz', dir(['again', { hardlink: 'dir/nested/ü💡\n' }], ['b', Buffer.alloc(3000, 'x')])],
  ...Array.from({ length: 300 }, (_, index) => [`file-${index}`, `content ${index % 9}`] as const),
);

test('gives the records and times that encoding the directories would', () => {
  const expected = memoryTree(branches);
  const writer = new TreeWriter(defaultLimits);
  const files = write(writer, branches);
  // In any order: files are hashed side by side.
  for (const [number, { digest }] of [...files.entries()].toReversed()) writer.setDigest(number, digest);
  const tree = writer.finish(fileOf);
  assert.is(tree.root, expected.root);
  assert.is(tree.files, 304);
  const records = new Map(tree.directories);
  assert.is(records.size, expected.records.size);
  for (const [digest, record] of expected.records) assert.ok(records.get(digest)?.equals(record));
  assert.equal(tree.times, expected.times);
  assert.equal(new Map(tree.allTimes), expected.allTimes);
  assert.equal([...new Map(tree.contents).keys()].toSorted(), [...expected.blobs.keys()].toSorted());
  assert.is(tree.contents.get(digestOf(Buffer.from('nowhere'))), undefined);
  assert.equal(tree.contents.get(digestOf(Buffer.from('second'))), {
    path: '/context/dir/nested/ü💡\n',
    name: 'dir/nested/ü💡\n',
    size: 6,
    mtime: 1n,
  });
});

test('a directory that stays empty can be dropped, and those in it', () => {
  const writer = new TreeWriter(defaultLimits);
  for (const name of ['kept', 'dropped', 'within']) writer.enter(name);
  writer.leave({ name: 'within', mode: 0o755, mtime: 0n }, { keepEmpty: false });
  writer.leave({ name: 'dropped', mode: 0o755, mtime: 0n }, { keepEmpty: false });
  writer.leave({ name: 'kept', mode: 0o755, mtime: 0n });
  const tree = writer.finish(fileOf);
  assert.is(tree.entries, 1);
  const { entries } = decodeDirectory(tree.root, tree.directories.get(tree.root) ?? Buffer.alloc(0));
  assert.equal(
    entries.map(({ name }) => name),
    ['kept'],
  );
});

test('names and targets that no tree may hold are refused, as are trees that are not whole [X1]', () => {
  const writer = new TreeWriter(defaultLimits);
  for (const name of ['', '.', '..', 'a/b', 'a\0b']) {
    assert.throws(() => writer.symlink({ name, mtime: 0n }, 'target'), /illegal name/);
  }
  assert.throws(() => writer.symlink({ name: 'x', mtime: 0n }, ''), /illegal target/);
  writer.file({ name: 'y', mode: 0o644, mtime: 0n, size: 1 });
  assert.throws(() => writer.finish(fileOf), /before all of its files were hashed/);
});

test('200,000 files take less than 40 MB, with what finds them [X8]', () => {
  const before = process.memoryUsage().arrayBuffers;
  const writer = new TreeWriter(defaultLimits);
  const digest = digestOf(Buffer.from('x'));
  for (let directory = 0; directory < 1000; directory++) {
    const name = `directory-${String(directory).padStart(6, '0')}`;
    writer.enter(name);
    for (let file = 100; file < 299; file++) {
      const number = writer.file({ name: `some-file-name-${file}.txt`, mode: 0o644, mtime: 1n, size: 4321 });
      writer.setDigest(number, digest);
    }
    writer.leave({ name, mode: 0o755, mtime: 1n });
  }
  const tree = writer.finish(fileOf);
  assert.is(tree.entries, 200_000);
  const found = tree.contents.get(digest);
  assert.ok(found !== undefined && 'size' in found && found.size === 4321);
  const bytes = process.memoryUsage().arrayBuffers - before;
  assert.ok(bytes < 40_000_000, `${bytes} bytes`);
});

test.run();

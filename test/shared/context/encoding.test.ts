import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  compareNames,
  decodeDirectory,
  digestOf,
  encodeDirectory,
} from '../../../shared/context/encoding.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import type { Directory, TreeEntry } from '../../../shared/context/tree.ts';

const seed = Date.now() % 2 ** 31;
const empty = digestOf(Buffer.alloc(0));

const name = fc
  .string({
    unit: fc.constantFrom('a', 'b', '-', ' ', '\n', '.', 'é', '\ue000', '💡', '\\', '*'),
    minLength: 1,
    maxLength: 12,
  })
  .filter((text) => text !== '.' && text !== '..');
const digest = fc.uint8Array({ minLength: 0, maxLength: 4 }).map((bytes) => digestOf(bytes));
const mode = fc.integer({ min: 0, max: 0o7777 });
const plain = { noNullPrototype: true };
const entry: fc.Arbitrary<TreeEntry> = fc.oneof(
  fc.record({ type: fc.constant('file' as const), name, mode, digest, size: fc.maxSafeNat() }, plain),
  fc.record({ type: fc.constant('directory' as const), name, mode, digest }, plain),
  fc.record(
    {
      type: fc.constant('symlink' as const),
      name,
      target: fc.constantFrom('/', '../x', 'a//b', ' '),
    },
    plain,
  ),
  fc.record({ type: fc.constant('hardlink' as const), name, target: fc.constantFrom('a', 'a/b c') }, plain),
);
const directory: fc.Arbitrary<Directory> = fc
  .uniqueArray(entry, { selector: (each) => each.name })
  .map((entries) =>
    entries.toSorted((left, right) => Buffer.compare(Buffer.from(left.name), Buffer.from(right.name))),
  )
  .map((entries) => ({ entries }));

test('a directory comes back as it was', () => {
  fc.assert(
    fc.property(directory, (given) => {
      const { digest, record } = encodeDirectory(given);
      assert.equal(decodeDirectory(digest, record), given);
    }),
    { seed },
  );
});

test('everything that an image could see is part of the digest', () => {
  const file = { type: 'file', name: 'a', mode: 0o644, size: 0, digest: empty } as const;
  const digestWith = (entry: TreeEntry): string => encodeDirectory({ entries: [entry] }).digest;
  const same = digestWith(file);
  for (const other of [
    { ...file, name: 'b' },
    { ...file, mode: 0o755 },
    { ...file, size: 1 },
    { ...file, digest: digestOf(Buffer.from('x')) },
  ]) {
    assert.is.not(digestWith(other), same);
  }
});

test('the encoding is the documented one', () => {
  const { record, digest } = encodeDirectory({
    entries: [
      { type: 'file', name: 'a', mode: 0o4755, size: 0, digest: empty },
      { type: 'directory', name: 'b', mode: 0o755, digest: empty },
      { type: 'symlink', name: 'c', target: '../x' },
      { type: 'hardlink', name: 'd', target: 'a' },
    ],
  });
  const hex = empty.slice('sha256:'.length);
  const encoding = `archfarm directory 1\0f\0a\x004755\x000\0${hex}\0d\0b\x000755\0${hex}\0l\0c\0../x\0h\0d\0a\0`;
  assert.is(record.toString(), encoding);
  assert.is(digest, digestOf(Buffer.from(encoding)));
});

test('a record that was tampered with is refused or is another canonical one [X11]', () => {
  fc.assert(
    fc.property(directory, fc.nat(), fc.integer({ min: 1, max: 255 }), (given, position, flip) => {
      const { record } = encodeDirectory(given);
      const at = position % record.length;
      record[at] = (record[at] ?? 0) ^ flip;
      const claimed = digestOf(record);
      let decoded: Directory;
      try {
        decoded = decodeDirectory(claimed, record);
      } catch (error) {
        assert.instance(error, ArchfarmError);
        return;
      }
      assert.equal(encodeDirectory(decoded).record, record);
    }),
    { seed },
  );
});

test('refuses entries that no tree may hold [X1]', () => {
  const file = { type: 'file', name: 'a', mode: 0o644, size: 0, digest: empty } as const;
  const refused: TreeEntry[][] = [
    [{ ...file, name: '' }],
    [{ ...file, name: '.' }],
    [{ ...file, name: '..' }],
    [{ ...file, name: 'a/b' }],
    [{ ...file, name: 'a\0b' }],
    [{ ...file, name: '\ud800' }],
    [{ ...file, name: 'é'.repeat(128) }],
    [{ ...file, mode: 0o10000 }],
    [{ ...file, size: -1 }],
    [{ ...file, size: 2 ** 53 }],
    [{ ...file, digest: 'sha256:short' }],
    [{ type: 'symlink', name: 'a', target: '' }],
    [{ type: 'hardlink', name: 'a', target: '/etc/passwd' }],
    [{ type: 'hardlink', name: 'a', target: '../x' }],
    [file, file],
    [{ ...file, name: 'b' }, file],
  ];
  for (const entries of refused) {
    assert.throws(() => encodeDirectory({ entries }), /not a valid tree/, JSON.stringify(entries));
  }
});

test('says which entry of a record is of no type, and which record is none [X4, X10]', () => {
  const decode = (record: Buffer): void => void decodeDirectory(digestOf(record), record);
  const device = Buffer.from('archfarm directory 1\0c\0null\x000644\x001,3\0');
  assert.throws(() => decode(device), /^not a valid tree: "null" is an entry of the unknown type "c"$/);
  const long = Buffer.from(`archfarm directory 1\0${'c'.repeat(1e6)}\0${'n'.repeat(1e6)}\0`);
  assert.throws(
    () => decode(long),
    (error: Error) => error.message.length < 1000,
  );
  for (const bytes of [gzipSync(device), Buffer.from('{}'), Buffer.alloc(1000), Buffer.alloc(0)])
    assert.throws(
      () => decode(bytes),
      new RegExp(`not a valid tree: ${digestOf(bytes)} is no directory record$`),
    );
  const padded = Buffer.from('archfarm directory 1\0l\0a\0b\0 ');
  assert.throws(
    () => decode(padded),
    new RegExp(`: directory ${digestOf(padded)} is not in canonical form$`),
  );
});

test('orders names by their bytes', () => {
  fc.assert(
    fc.property(name, name, (left, right) => {
      const bytes = Buffer.compare(Buffer.from(left), Buffer.from(right));
      assert.is(Math.sign(compareNames(left, right)), bytes);
    }),
    { seed, examples: [['\ue000', '💡']] },
  );
});

console.log(`seed ${seed}`);
test.run();

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { digestOf } from '../../../shared/context/encoding.ts';
import { areTimes, encodeTimes, Times } from '../../../shared/context/times.ts';
import type { Directory, TreeEntry } from '../../../shared/context/tree.ts';
import { ArchfarmError } from '../../../shared/errors.ts';

const digest = digestOf(Buffer.from('x'));

/** Every third entry is a directory. */
function directoryOf(count: number): Directory {
  const entryOf = (index: number): TreeEntry => {
    const name = `entry-${String(index).padStart(9, '0')}`;
    if (index % 3 === 0) return { type: 'directory', name, mode: 0o755, digest };
    return { type: 'file', name, mode: 0o644, size: 1, digest };
  };
  return { entries: Array.from({ length: count }, (_, index) => entryOf(index)) };
}

test('the encoding is the documented one', () => {
  const bytes = encodeTimes([1n, -1n], [{ digest, size: 258 }]);
  const hex = digest.slice('sha256:'.length);
  assert.is(
    bytes.toString('hex'),
    `${Buffer.from('archfarm times 1\0').toString('hex')}${'00'.repeat(7)}01${'ff'.repeat(8)}${hex}00000102`,
  );
  assert.is(areTimes(bytes), true);
  assert.is(areTimes(Buffer.from('archfarm directory 1\0')), false);
});

test('times come back as they were, and only with the directory that they are of', () => {
  fc.assert(
    fc.property(
      fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { maxLength: 20 }),
      (mtimes) => {
        const below = mtimes
          .filter((_, index) => index % 3 === 0)
          .map((_, index) => ({ digest, size: index }));
        const bytes = encodeTimes(mtimes, below);
        const times = new Times(bytes, directoryOf(mtimes.length));
        assert.equal(
          mtimes.map((_, index) => times.mtime(index)),
          mtimes,
        );
        assert.equal(
          below.map((_, index) => times.below(index)),
          below,
        );
        assert.throws(() => new Times(bytes, directoryOf(mtimes.length + 1)), isRefused);
        assert.throws(() => new Times(bytes.subarray(1), directoryOf(mtimes.length)), isRefused);
      },
    ),
  );
});

function isRefused(error: unknown): boolean {
  return error instanceof ArchfarmError && error.code === 'context-invalid';
}

test.run();

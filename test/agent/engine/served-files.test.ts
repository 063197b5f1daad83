import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ServedFiles, wayBytes, type ServedFile } from '../../../agent/engine/served-files.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { Random } from '../../support/random.ts';

const contents = ['a', 'b', 'c', 'd', 'e'].map((text) => digestOf(Buffer.from(text)));
const times = [0n, -5_000_000_001n, 1_700_000_000_123_456_789n, 2n ** 62n];

/** The rule, in plain words. */
function choose(history: readonly ServedFile[], file: ServedFile): bigint {
  const last = history.at(-1);
  if (last?.digest === file.digest && last.mode === file.mode) return last.mtime;
  const isTaken = (mtime: bigint): boolean =>
    history.some(
      (other) =>
        other.mode === file.mode &&
        other.size === file.size &&
        other.mtime === mtime &&
        other.digest !== file.digest,
    );
  if (!isTaken(file.mtime)) return file.mtime;
  const second = file.mtime - (((file.mtime % 10n ** 9n) + 10n ** 9n) % 10n ** 9n);
  for (let nanoseconds = BigInt(`0x${file.digest.slice(-15)}`); ; nanoseconds += 1n) {
    const mtime = second + (nanoseconds % 10n ** 9n);
    if (!isTaken(mtime)) return mtime;
  }
}

test('serves by the rule, whatever was served before', () => {
  const random = new Random(3);
  const ways = new ServedFiles([1, 2]);
  const histories = new Map<string, ServedFile[]>();
  for (let step = 0; step < 30_000; step++) {
    const path = `directory/${random.between(0, 3000)}`;
    const file = {
      mode: random.pick([0o644, 0o4755]),
      size: random.pick([0, 1, 2 ** 32 - 1, 2 ** 34 + 7]),
      digest: random.pick(contents),
      mtime: random.pick(times),
    };
    const history = histories.get(path) ?? [];
    const expected = choose(history, file);
    const way = ways.serve(path, file);
    assert.is(ways.mtime(way), expected, `step ${step}`);
    assert.is(ways.digest(way), file.digest);
    assert.is(ways.mode(way), file.mode);
    const last = history.at(-1);
    if (last?.digest !== file.digest || last.mode !== file.mode) {
      assert.is(ways.bytes(way), file.size);
      histories.set(path, [...history, { ...file, mtime: expected }]);
    }
  }
});

test('knows the same after it was written down and read', () => {
  const random = new Random(4);
  const first = new ServedFiles([5, 6]);
  const paths = Array.from({ length: 500 }, (_, index) => `p/${index}`);
  const serve = (ways: ServedFiles, path: string, digest: string): bigint =>
    ways.mtime(ways.serve(path, { mode: 0o644, size: 4, digest, mtime: 7n }));
  for (let step = 0; step < 3000; step++) serve(first, random.pick(paths), random.pick(contents));
  const second = new ServedFiles([5, 6]);
  const record = Buffer.alloc(wayBytes);
  for (const way of first.all()) {
    first.copy(way, record, 0);
    second.load(record, 0);
  }
  assert.is(second.size, first.size);
  assert.equal(second.takeChanged(), [], 'what was read need not be written');
  for (const path of paths) {
    const told = (ways: ServedFiles): string[] =>
      [...ways.history(path)].map((way) => `${ways.digest(way)} ${ways.mtime(way)}`);
    assert.equal(told(second), told(first));
    const digest = random.pick(contents);
    assert.is(serve(second, path, digest), serve(first, path, digest));
  }
});

test('tells what has to be written down once, in order', () => {
  const ways = new ServedFiles([0, 0]);
  const serve = (digest: string): number => ways.serve('f', { mode: 0o644, size: 1, digest, mtime: 1n });
  const [a = '', b = ''] = contents;
  const first = serve(a);
  assert.is(serve(a), first);
  const second = serve(b);
  assert.equal(ways.takeChanged(), [first, second]);
  assert.is(serve(a), first, 'the same way again, the last now');
  assert.equal(ways.takeChanged(), [first]);
  assert.is(ways.size, 2);
});

test.run();

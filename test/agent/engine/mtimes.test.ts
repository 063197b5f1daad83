import { appendFile, readFile, readdir, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MtimeStore, type MtimeLease } from '../../../agent/engine/mtimes.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const own = 1_700_000_000_123_456_789n;

function fileOf(content: string, mtime = own, mode = 0o644): Parameters<MtimeLease['serve']>[1] {
  return { mode, size: content.length, digest: digestOf(Buffer.from(content)), mtime };
}

/** One build: what it was told for one path, and the key it ran under. */
async function serve(
  directory: string,
  files: readonly Parameters<MtimeLease['serve']>[1][],
): Promise<[string, bigint[]]> {
  await using lease = await new MtimeStore(directory).open('key');
  const told = files.map((file) => lease.serve('context/f', file));
  await lease.flush();
  return [lease.sharedKey, told];
}

test('tells the true mtime unless the content is the last one, or another had that mtime', async () => {
  await using directory = await temporaryDirectory();
  const [key, [first, changed, grown, again]] = await serve(directory.path, [
    fileOf('aaaa'),
    fileOf('bbbb'),
    fileOf('ccccc'),
    fileOf('ccccc', own + 5n),
  ]);
  assert.is(first, own);
  assert.is.not(changed, own);
  assert.is(changed! / 1_000_000_000n, own / 1_000_000_000n);
  assert.is(grown, own, 'another size tells them apart');
  assert.is(again, own, 'the content is the one served last');
  const [sameKey, [back, executable]] = await serve(directory.path, [
    fileOf('aaaa'),
    fileOf('aaaa', own + 9n, 0o755),
  ]);
  assert.is(sameKey, key);
  assert.is(back, own);
  assert.is(executable, own + 9n);
});

test('never lets one path, mode, size and mtime stand for two contents, across builds and at once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          content: fc.constantFrom('a', 'b', 'c', 'dd', 'ee'),
          mtime: fc.constantFrom(-1n, 0n, own),
          reopen: fc.boolean(),
        }),
        { maxLength: 30 },
      ),
      async (steps) => {
        await using directory = await temporaryDirectory();
        const meaning = new Map<string, string>();
        let store = new MtimeStore(directory.path);
        for (const { content, mtime, reopen } of steps) {
          if (reopen) store = new MtimeStore(directory.path);
          await using lease = await store.open('key');
          await using other = await store.open('key');
          for (const user of [lease, other]) {
            const told = `${content.length} ${user.serve('f', fileOf(content, mtime))}`;
            assert.is(meaning.get(told) ?? content, content);
            meaning.set(told, content);
          }
          await other.flush();
        }
      },
    ),
    { numRuns: 40 },
  );
});

test('starts a new key when its record is lost or damaged, and keeps it when only the last line is torn', async () => {
  await using directory = await temporaryDirectory();
  const [key] = await serve(directory.path, [fileOf('aaaa'), fileOf('bbbb')]);
  const path = join(directory.path, (await readdir(directory.path))[0]!);
  assert.is((await stat(path)).mode & 0o777, 0o600);
  const whole = await readFile(path);

  await appendFile(path, '["context/f",420,4,"170');
  const [tornKey, [told]] = await serve(directory.path, [fileOf('bbbb')]);
  assert.is(tornKey, key);
  assert.is.not(told, own);
  assert.equal(await readFile(path), whole);

  const damages: (() => Promise<void>)[] = [
    () => writeFile(path, whole.subarray(10)),
    () => writeFile(path, `${whole.toString()}{}\n`),
    () => writeFile(path, ''),
    () => truncate(path, 65 << 20),
  ];
  const keys = new Set([key]);
  for (const damage of damages) {
    await damage();
    const [newKey, [fresh]] = await serve(directory.path, [fileOf('cccc')]);
    assert.not.ok(keys.has(newKey));
    keys.add(newKey);
    assert.is(fresh, own);
  }
});

test.run();

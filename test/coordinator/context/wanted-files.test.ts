import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { prefetchAll, wantedFiles, type WantedFile } from '../../../coordinator/context/wanted-files.ts';
import { everything } from '../../../shared/context/select.ts';
import { ArchfarmError, type ErrorCode } from '../../../shared/errors.ts';
import { failureOf } from '../../support/failure.ts';
import { dir, memoryTree } from '../../support/memory-tree.ts';

const { signal } = new AbortController();

async function* filesOf(count: number, size: number): AsyncGenerator<WantedFile> {
  for (let index = 0; index < count; index++)
    yield { path: `${index}`, digest: `sha256:${String(index).padStart(64, '0')}`, size };
}

/** How many files and bytes are asked for at once, at most, when answers come in later turns. */
async function widest(count: number, size: number): Promise<{ items: number; bytes: number; came: number }> {
  let now = 0;
  const seen = { items: 0, bytes: 0, came: 0 };
  await prefetchAll(
    filesOf(count, size),
    {
      async prefetch() {
        seen.items = Math.max(seen.items, ++now);
        seen.bytes = seen.items * size;
        await new Promise(setImmediate);
        now -= 1;
        seen.came += 1;
      },
    },
    signal,
  );
  return seen;
}

/** The indices that were asked for while the one with this index failed. */
async function askedAround(
  failing: number,
  code: ErrorCode,
): Promise<{ asked: number; error: ArchfarmError }> {
  let asked = 0;
  const coming = prefetchAll(
    filesOf(5000, 10),
    {
      async prefetch(digest) {
        asked += 1;
        await new Promise(setImmediate);
        if (Number(digest.slice(-10)) === failing) throw new ArchfarmError(code, 'it failed');
      },
    },
    signal,
  );
  return { error: await failureOf(coming), asked };
}

test('files of a selection are those that it names, without empty ones', async () => {
  const tree = memoryTree(dir(['app', dir(['a', '1'], ['empty', '']), ], ['lib', '2'], ['link', { link: 'lib' }])); // prettier-ignore
  const paths = async (followPaths: string[]): Promise<string[]> => {
    const found: string[] = [];
    for await (const { path } of wantedFiles(
      { root: tree.root, selection: { ...everything, followPaths } },
      tree,
      signal,
    ))
      found.push(path);
    return found;
  };
  assert.equal(await paths(['app']), ['app/a']);
  assert.equal(await paths(['link']), ['lib']);
  assert.equal(await paths([]), ['app/a', 'lib']);
});

test('many files are asked for through a window, by their number and by their bytes', async () => {
  assert.equal(await widest(20_000, 10), { items: 1000, bytes: 10_000, came: 20_000 });
  const megabyte = 1024 * 1024;
  assert.equal(await widest(100, megabyte), { items: 16, bytes: 16 * megabyte, came: 100 });
  assert.equal(await widest(3, 64 * megabyte), { items: 1, bytes: 64 * megabyte, came: 3 });
});

test('a file that cannot be had does not keep the others from coming, a client that is gone does', async () => {
  const changed = await askedAround(10, 'context-changed');
  assert.equal([changed.error.code, changed.asked], ['context-changed', 5000]);
  const gone = await askedAround(10, 'client-gone');
  assert.is(gone.error.code, 'client-gone');
  assert.ok(gone.asked < 2500, `${gone.asked} were asked for`);
});

test.run();

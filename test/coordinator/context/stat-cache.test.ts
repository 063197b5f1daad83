import { link, lstat, mkdir, readdir, readFile, rename, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { scanContext } from '../../../coordinator/context/scan.ts';
import type { Snapshot } from '../../../coordinator/context/snapshot.ts';
import { StatCache } from '../../../coordinator/context/stat-cache.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import { writeFiles } from '../../support/write-files.ts';

const signal = AbortSignal.timeout(300_000);
const key = ['/context', ''];
const [right, wrong] = [digestOf(Buffer.from('right')), digestOf(Buffer.from('wrong'))];
const hour = 3_600_000;

interface Setting extends AsyncDisposable {
  readonly root: string;
  readonly cache: string;
  scan(): Promise<Snapshot>;
  /** Makes the cache say something false of a file: who reads the file does not find it. */
  poison(name: string): Promise<void>;
}

async function setting(files: Readonly<Record<string, string>>): Promise<Setting> {
  const directory = await temporaryDirectory();
  const [root, cache] = [join(directory.path, 'context'), join(directory.path, 'cache', 'stat')];
  await writeFiles(root, files);
  return {
    root,
    cache,
    scan: () => scanContext(root, { statCache: cache, signal }),
    async poison(name) {
      const poisoned = await StatCache.open(cache, [root, ''], Date.now() + hour);
      const fingerprint = poisoned.fingerprint(await lstat(join(root, name), { bigint: true }));
      assert.ok(fingerprint);
      poisoned.add(fingerprint, wrong);
      await poisoned.save();
    },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

test('a file that stat shows to be the same is not read again', async () => {
  await using at = await setting({ file: 'right' });
  await at.poison('file');
  assert.ok((await at.scan()).contents.has(wrong));
});

test('a file is read again when its content, times or inode changed, even under equal size and mtime', async () => {
  const changes: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
    'other content': (path) => writeFile(path, 'right!'),
    'other content under equal size and time': async (path) => {
      const { atime, mtime } = await lstat(path);
      await writeFile(path, 'RIGHT');
      await utimes(path, atime, mtime);
    },
    'only touched': (path) => utimes(path, 1, 1),
    'another file in its place': async (path) => {
      await writeFile(`${path}.new`, 'RIGHT');
      await utimes(`${path}.new`, 1000, 1000);
      await rename(`${path}.new`, path);
    },
    'one more name': (path) => link(path, `${path}2`),
  };
  for (const [what, change] of Object.entries(changes)) {
    await using at = await setting({ file: 'right' });
    await utimes(join(at.root, 'file'), 1000, 1000);
    await at.poison('file');
    await change(join(at.root, 'file'));
    const { contents } = await at.scan();
    assert.not.ok(contents.has(wrong), what);
    assert.ok(contents.has(digestOf(await readFile(join(at.root, 'file')))), what);
  }
});

test('a file that changed shortly before the scan is not trusted until it is older', async () => {
  await using at = await setting({ file: 'right' });
  const stat = await lstat(join(at.root, 'file'), { bigint: true });
  const changed = Number(stat.ctimeNs / 1_000_000n);
  const trusted = async (now: number): Promise<boolean> =>
    (await StatCache.open(at.cache, key, now)).fingerprint(stat) !== undefined;
  assert.is(await trusted(changed), false);
  assert.is(await trusted(changed + 1999), false);
  assert.is(await trusted(changed + 2002), true);
  // A clock that was set back, or another machine's.
  assert.is(await trusted(changed - hour), false);
});

test('a scan of its own remembers what is old enough', async () => {
  await using at = await setting({ a: 'right', 'sub/b': 'b' });
  const first = await at.scan();
  await until(async () => {
    const { root } = await at.scan();
    assert.is(root, first.root);
    const [name] = await readdir(at.cache).catch(() => []);
    return name !== undefined && (await readFile(join(at.cache, name))).length === 16 + 2 * 72 + 32;
  });
  const again = await at.scan();
  assert.equal([again.root, again.files, again.bytes], [first.root, 2, 6]);
});

test('a broken cache, one that cannot be read and one that cannot be written are ignored', async () => {
  await using at = await setting({ file: 'right' });
  await at.poison('file');
  const [name = ''] = await readdir(at.cache);
  await writeFile(join(at.cache, name), 'broken');
  assert.ok((await at.scan()).contents.has(right));
  for (const statCache of [join(at.root, 'file'), '/proc/nowhere']) {
    assert.ok((await scanContext(at.root, { statCache, signal })).contents.has(right));
  }
});

test('contexts and ignore files have caches of their own', async () => {
  await using at = await setting({ file: 'right', 'Other.dockerignore': 'none' });
  await at.poison('file');
  const { contents } = await scanContext(at.root, {
    statCache: at.cache,
    dockerfile: join(at.root, 'Other'),
    signal,
  });
  assert.ok(contents.has(right));
});

test('processes that save at once leave one whole cache and no temporary file', async () => {
  await using at = await setting({ file: 'right' });
  await Promise.all(Array.from({ length: 20 }, () => at.poison('file')));
  assert.is((await readdir(at.cache)).length, 1);
  assert.ok((await at.scan()).contents.has(wrong));
});

test('caches that are many or old are removed, the least recently used first', async () => {
  await using at = await setting({ file: 'right' });
  await mkdir(at.cache, { recursive: true });
  const now = Date.now() / 1000;
  for (let index = 0; index < 70; index++) {
    await writeFile(join(at.cache, `other-${index}`), '');
    await utimes(join(at.cache, `other-${index}`), now - 60 - index, now - 60 - index);
  }
  await writeFile(join(at.cache, 'expired'), '');
  await utimes(join(at.cache, 'expired'), 1, 1);
  await at.poison('file');
  const names = await readdir(at.cache);
  assert.is(names.length, 64);
  assert.ok(names.includes('other-62'));
  assert.not.ok(names.includes('other-63'));
  assert.ok((await at.scan()).contents.has(wrong));
});

test.run();

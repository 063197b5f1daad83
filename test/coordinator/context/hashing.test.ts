import { lstat, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ContextFile } from '../../../coordinator/context/context-file.ts';
import { Hashing } from '../../../coordinator/context/hashing.ts';
import { Pace } from '../../../coordinator/context/pace.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { failureOf } from '../../support/failure.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const signal = AbortSignal.timeout(300_000);
const count = 100;

async function makeFiles(directory: string): Promise<ContextFile[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const path = join(directory, `f${index}`);
      await writeFile(path, contentOf(index));
      const { size, mtimeNs } = await lstat(path, { bigint: true });
      return { path, name: `f${index}`, size: Number(size), mtime: mtimeNs };
    }),
  );
}

/** Some too large to be read at once. */
function contentOf(index: number): Buffer {
  return Buffer.alloc(index % 10 === 0 ? 600_000 : index, `content ${index} `);
}

async function openFiles(): Promise<number> {
  return (await readdir('/proc/self/fd')).length;
}

async function hashAll(files: readonly ContextFile[], pace: Pace): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  const hashing = new Hashing({ pace, signal });
  try {
    for (const file of files) await hashing.add({ file, done: (digest) => digests.set(file.name, digest) });
    await hashing.finish();
  } finally {
    await hashing.stop();
  }
  return digests;
}

test('each file gets its digest, hashed at once or side by side', async () => {
  await using directory = await temporaryDirectory();
  const files = await makeFiles(directory.path);
  for (const pooled of [false, true]) {
    const digests = await hashAll(files, new Pace({ pooled }));
    assert.is(digests.size, count);
    for (let index = 0; index < count; index++) {
      assert.is(digests.get(`f${index}`), digestOf(contentOf(index)));
    }
  }
});

test('one file that changed ends it with an error that names the file, and nothing goes on', async () => {
  await using directory = await temporaryDirectory();
  const files = await makeFiles(directory.path);
  const before = await openFiles();
  for (const pooled of [false, true]) {
    for (const wrong of [0, 55, count - 1]) {
      const scanned = files.map((file, index) => (index === wrong ? { ...file, mtime: 1n } : file));
      const error = await failureOf(hashAll(scanned, new Pace({ pooled })));
      assert.is(error.code, 'context-changed');
      assert.ok(error.message.startsWith(`"f${wrong}" changed`), error.message);
      assert.is(await openFiles(), before);
    }
  }
});

test.run();

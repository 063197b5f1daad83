/** Contexts to build: their files, the Dockerfile, and an edit of 4 KiB. */
import { createCipheriv, randomBytes, randomInt } from 'node:crypto';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface ContextCase {
  readonly name: string;
  make(directory: string): Promise<void>;
  /** Gives one file new content of the same size. */
  edit(directory: string): Promise<void>;
}

const editBytes = 4096;

export const contextCases: readonly ContextCase[] = [
  {
    name: 'tiny',
    async make(directory) {
      await writeFiles(directory, { count: 1, bytes: 1000, folder: 'app' });
      await rewriteEdited(join(directory, 'app'));
      await writeDockerfile(directory, 'app /app');
    },
    edit: (directory) => rewriteEdited(join(directory, 'app')),
  },
  manyFiles({ name: '5000-files', count: 5000, bytes: 40_000 }),
  manyFiles({ name: '50000-files', count: 50_000, bytes: 10_000 }),
  {
    name: 'one-file',
    async make(directory) {
      const file = await open(join(await folderOf(directory, 'data'), 'large'), 'w');
      for (let part = 0; part < 1000; part++) await file.write(content(part, 1_000_000));
      await file.close();
      await writeDockerfile(directory, 'data /data');
    },
    async edit(directory) {
      const file = await open(join(directory, 'data', 'large'), 'r+');
      const { size } = await file.stat();
      await file.write(randomBytes(editBytes), 0, editBytes, randomInt(size - editBytes));
      await file.close();
    },
  },
  // What is edited is not used either.
  manyFiles({ name: 'three-used', count: 5000, bytes: 40_000, used: 3 }),
];

interface ManyFiles {
  readonly name: string;
  readonly count: number;
  /** Of each file. */
  readonly bytes: number;
  /** Files that the Dockerfile copies; all if not given. */
  readonly used?: number;
}

function manyFiles({ name, count, bytes, used }: ManyFiles): ContextCase {
  return {
    name,
    async make(directory) {
      await writeFiles(directory, { count, bytes, folder: 'data' });
      if (used !== undefined) await writeFiles(directory, { count: used, bytes: 1000, folder: 'app' });
      await rewriteEdited(join(directory, 'data'));
      await writeDockerfile(directory, used === undefined ? 'data /data' : 'app /app');
    },
    edit: (directory) => rewriteEdited(join(directory, 'data')),
  };
}

/** Nothing is taken from a base, and nothing runs: what a build costs is its context, a layer and a push. */
async function writeDockerfile(directory: string, copied: string): Promise<void> {
  await writeFile(join(directory, 'Dockerfile'), `FROM scratch\nCOPY ${copied}\n`);
}

/** A hundred to a directory. */
async function writeFiles(
  directory: string,
  { count, bytes, folder }: { readonly count: number; readonly bytes: number; readonly folder: string },
): Promise<void> {
  for (let first = 0; first < count; first += 100) {
    const parent = await folderOf(directory, join(folder, String(first / 100)));
    const numbers = Array.from({ length: Math.min(100, count - first) }, (_, index) => first + index);
    await Promise.all(
      numbers.map((number) => writeFile(join(parent, `file-${number}`), content(number, bytes))),
    );
  }
}

function rewriteEdited(folder: string): Promise<void> {
  return writeFile(join(folder, 'edited'), randomBytes(editBytes));
}

async function folderOf(directory: string, folder: string): Promise<string> {
  const path = join(directory, folder);
  await mkdir(path, { recursive: true });
  return path;
}

/** Different for every number and the same at every run; it shrinks to half, as sources and libraries do. */
function content(number: number, bytes: number): Buffer {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(number);
  const plain = Buffer.alloc(bytes);
  const half = Math.ceil(bytes / 2);
  createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(plain.subarray(0, half)).copy(plain);
  return plain;
}

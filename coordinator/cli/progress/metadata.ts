/** Files that scripts read after a build. A reader sees the old content or the new, never half of it. */
import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { access, chmod, constants, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ArchfarmError, messageOf, systemCode } from '../../../shared/errors.ts';
import type { BuildResult } from '../../../shared/progress.ts';

/** `--metadata-file`: the result as JSON. */
export async function writeMetadataFile(file: string, result: BuildResult): Promise<void> {
  await writeWhole(file, `${JSON.stringify(result, undefined, 2)}\n`);
}

/** `--iidfile`: the published digest, without a newline as docker writes it. */
export async function writeDigestFile(file: string, digest: string): Promise<void> {
  await writeWhole(file, digest);
}

/** Throws `config` for a file that could not be written at the end: better now than after an hour of building. */
export async function requireWritable(file: string): Promise<void> {
  try {
    const target = await existing(file);
    if (target?.stats.isDirectory() === true) throw new Error('it is a directory');
    if (target?.stats.isFile() !== false) {
      await access(dirname(target?.path ?? resolve(file)), constants.W_OK);
    }
  } catch (error) {
    throw new ArchfarmError('config', `cannot write ${file}: ${messageOf(error)}`, { cause: error });
  }
}

async function writeWhole(file: string, content: string): Promise<void> {
  try {
    const target = await existing(file);
    // A pipe or a device like /dev/stdout is written to, never replaced.
    if (target?.stats.isFile() === false) await writeFile(file, content);
    else await replace(target?.path ?? file, { content, mode: target?.stats.mode });
  } catch (error) {
    throw new ArchfarmError('config', `cannot write ${file}: ${messageOf(error)}`, { cause: error });
  }
}

/** What the name leads to, links followed; undefined when there is nothing yet. */
async function existing(file: string): Promise<{ path: string; stats: Stats } | undefined> {
  try {
    return { path: await realpath(file), stats: await stat(file) };
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function replace(
  file: string,
  { content, mode }: { readonly content: string; readonly mode: number | undefined },
): Promise<void> {
  const temporary = `${file}.${randomUUID()}.tmp`;
  try {
    await writeFile(temporary, content, { flag: 'wx' });
    if (mode !== undefined) await chmod(temporary, mode & 0o777);
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

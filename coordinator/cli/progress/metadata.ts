/** Files that scripts read after a build. A reader sees the old content or the new, never half of it. */
import { randomUUID } from 'node:crypto';
import { access, constants, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
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
    if (target?.isFile !== false) await access(dirname(target?.path ?? resolve(file)), constants.W_OK);
  } catch (error) {
    throw new ArchfarmError('config', `cannot write ${file}: ${messageOf(error)}`, { cause: error });
  }
}

async function writeWhole(file: string, content: string): Promise<void> {
  try {
    const target = await existing(file);
    // A pipe or a device like /dev/stdout is written to, never replaced.
    if (target?.isFile === false) await writeFile(file, content);
    else await replace(target?.path ?? file, content);
  } catch (error) {
    throw new ArchfarmError('config', `cannot write ${file}: ${messageOf(error)}`, { cause: error });
  }
}

/** What the name leads to, links followed; undefined when there is nothing yet. */
async function existing(file: string): Promise<{ path: string; isFile: boolean } | undefined> {
  try {
    return { path: await realpath(file), isFile: (await stat(file)).isFile() };
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function replace(file: string, content: string): Promise<void> {
  const temporary = `${file}.${randomUUID()}.tmp`;
  try {
    await writeFile(temporary, content, { flag: 'wx' });
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Reads a file that somebody wrote by hand. */
import { readFile, stat } from 'node:fs/promises';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';

/** Bytes; far above any file written by hand. */
const maxFileSize = 1024 * 1024;

export async function readProjectText(file: string): Promise<string> {
  try {
    if ((await stat(file)).size > maxFileSize) {
      throw new ArchfarmError('config', `${file} is larger than ${maxFileSize} bytes`);
    }
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof ArchfarmError) throw error;
    throw new ArchfarmError('config', `cannot read the project file ${file}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** A certificate and its key in two files of a directory, either of which a crash may leave without the other. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmod, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ArchfarmError, messageOf, systemCode } from '../../shared/errors.ts';
import { writeWhole } from '../../shared/whole-file.ts';

/** PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** What is there of one. */
export type FoundPair = { readonly [Half in keyof KeyPair]: string | undefined };

export interface PairFiles {
  readonly certificate: string;
  readonly key: string;
}

/** The key first: a certificate without one is of no use. */
const halves = ['key', 'certificate'] as const;
/** Whoever is to know the authority may read its certificate. */
const modes = { key: 0o600, certificate: 0o644 } as const;

export function pairFiles(directory: string, name: string): PairFiles {
  return { certificate: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) };
}

/** Throws `config` for a file that cannot be read. */
export async function readPair(files: PairFiles): Promise<FoundPair> {
  const [certificate, key] = await Promise.all([readIfThere(files.certificate), readIfThere(files.key)]);
  return { certificate, key };
}

export function isWhole(found: FoundPair): found is KeyPair {
  return found.certificate !== undefined && found.key !== undefined;
}

export function isAbsent({ certificate, key }: FoundPair): boolean {
  return certificate === undefined && key === undefined;
}

/** Whether the key is the certificate's. Throws for what is no PEM of one. */
export function belongTogether({ certificate, key }: KeyPair): boolean {
  return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
}

/**
 * On disk when it resolves. Cut off, it leaves the key alone, or with the certificate of another one. Throws `config`.
 */
export async function writePair(files: PairFiles, pair: KeyPair): Promise<void> {
  for (const half of halves) {
    try {
      await writeWhole(files[half], pair[half], { mode: modes[half] });
    } catch (cause) {
      throw new ArchfarmError('config', `cannot write ${files[half]}: ${messageOf(cause)}`, { cause });
    }
  }
}

/** Copies lose the modes of files. Throws `config`. */
export async function restrictPair(files: PairFiles): Promise<void> {
  for (const half of halves) {
    try {
      const { mode } = await stat(files[half]);
      if ((mode & 0o777) !== modes[half]) await chmod(files[half], modes[half]);
    } catch (cause) {
      throw new ArchfarmError('config', `cannot set the mode of ${files[half]}: ${messageOf(cause)}`, {
        hint: 'is it of the user that the coordinator runs as?',
        cause,
      });
    }
  }
}

/** Undefined also for an empty file, which a power cut may leave of one that was not yet on disk. */
async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')) || undefined;
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return undefined;
    throw new ArchfarmError('config', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

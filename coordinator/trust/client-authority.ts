/** Whose certificates agents may show: the coordinator's own authority's, or those of one from a file. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { Authority } from './authority.ts';
import { followFiles } from './follow-files.ts';

export interface ClientAuthority {
  /** PEM; one or several. */
  readonly certificates: string;
  /** What signs new ones; undefined where somebody else does. */
  readonly signer: Authority | undefined;
  /** Tells of every later one, until it is stopped. */
  follow(onChange: (certificates: string) => void): () => void;
}

export interface ClientAuthorityOptions {
  /** File of another authority than our own. */
  readonly file: string | undefined;
  /** That of the server's certificate, where there is one. */
  readonly own: Authority | undefined;
  /** Of the coordinator's state. */
  readonly data: string;
  /** Nothing was signed by the own authority. */
  readonly isUnused: boolean;
  readonly log: Logger;
}

/** Throws `config` for a file that cannot be used. */
export async function openClientAuthority(options: ClientAuthorityOptions): Promise<ClientAuthority> {
  const { file, own, data, isUnused, log } = options;
  if (file !== undefined) return fromFile(file, log);
  const { Authority } = await import('./authority.ts');
  const signer = own ?? (await Authority.open(join(data, 'tls'), { isUnused }));
  return { certificates: signer.certificate, signer, follow: () => () => {} };
}

async function fromFile(file: string, log: Logger): Promise<ClientAuthority> {
  const certificates = await read(file);
  return {
    certificates,
    signer: undefined,
    follow: (onChange) =>
      followFiles({
        paths: [file],
        first: certificates,
        read: () => read(file),
        textOf: (found) => found,
        onChange,
        onTrouble: (reason) => log.warn({ reason }, 'went on with the authority as it was'),
      }),
  };
}

async function read(file: string): Promise<string> {
  try {
    const text = await readFile(file, 'utf8');
    // Throws for what is no certificate.
    void new X509Certificate(text).subject;
    return text;
  } catch (cause) {
    throw new ArchfarmError('config', `${file} of --client-ca cannot be used: ${messageOf(cause)}`, {
      hint: 'it is the certificate of the authority that signs those of agents, in PEM',
      cause,
    });
  }
}

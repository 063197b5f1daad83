/** Whose certificates agents may show: the coordinator's own authority's, or those of one from a file. */
import { X509Certificate } from 'node:crypto';
import { unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { Authority } from './authority.ts';

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
  readonly log: Logger;
}

/** Milliseconds between looks at the file. */
const lookInterval = 1000;

/** Throws `config` for a file that cannot be used. */
export async function openClientAuthority(options: ClientAuthorityOptions): Promise<ClientAuthority> {
  const { file, own, data, log } = options;
  if (file !== undefined) return fromFile(file, log);
  const { Authority } = await import('./authority.ts');
  const signer = own ?? (await Authority.open(join(data, 'tls')));
  return { certificates: signer.certificate, signer, follow: () => () => {} };
}

async function fromFile(file: string, log: Logger): Promise<ClientAuthority> {
  const certificates = await read(file);
  return {
    certificates,
    signer: undefined,
    follow(onChange) {
      let last = certificates;
      const look = (): void => {
        read(file).then(
          (found) => {
            if (found === last) return;
            last = found;
            onChange(found);
          },
          (error: unknown) => log.warn({ reason: messageOf(error) }, 'went on with the authority as it was'),
        );
      };
      watchFile(file, { interval: lookInterval }, look);
      return () => unwatchFile(file, look);
    },
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

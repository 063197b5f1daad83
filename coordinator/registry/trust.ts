/** Whom a TLS connection to a registry believes, and what it shows of itself. */
import { createHash } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { systemAuthorities } from '../../shared/authorities.ts';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import { dockerCertificates, readAuthorities, readHostCertificates, type Identity } from './certificates.ts';

export interface TrustOptions {
  /** Files of more authorities, PEM. */
  readonly authorityFiles?: readonly string[] | undefined;
  /** `/etc/docker/certs.d`, if not given. */
  readonly certificateDirectory?: string | undefined;
}

/** Contexts that are kept; each holds all authorities, a few hundred KiB. */
const maxKept = 16;

export class Trust {
  readonly directory: string;
  readonly #files: readonly string[];
  /** By what they were made of: making one takes 20 ms. */
  readonly #contexts = new Map<string, SecureContext>();

  constructor(options: TrustOptions = {}) {
    this.directory = options.certificateDirectory ?? dockerCertificates;
    this.#files = options.authorityFiles ?? [];
  }

  /** Throws `config` for a file of authorities that cannot be used. */
  async check(): Promise<void> {
    await Promise.all(this.#files.map(readAuthorities));
  }

  /**
   * For a connection to `host`. What vouches for the registry vouches for the hosts it names too, as with Docker, but
   * they are shown only what is kept for them. Files are read anew: certificates are renewed while a server runs.
   */
  async context(host: string, registry: string): Promise<SecureContext> {
    const [files, own, named] = await Promise.all([
      Promise.all(this.#files.map(readAuthorities)),
      readHostCertificates(this.directory, host),
      host === registry ? undefined : readHostCertificates(this.directory, registry),
    ]);
    const added = [...files.flat(), ...own.authorities, ...(named?.authorities ?? [])];
    const key = createHash('sha256')
      .update(JSON.stringify([added, own.identities]))
      .digest('base64');
    const kept = this.#contexts.get(key);
    if (kept !== undefined) return kept;
    const context = makeContext(host, [...systemAuthorities(), ...added], own.identities);
    for (const [oldest] of this.#contexts) {
      if (this.#contexts.size < maxKept) break;
      this.#contexts.delete(oldest);
    }
    this.#contexts.set(key, context);
    return context;
  }
}

function makeContext(
  host: string,
  authorities: readonly string[],
  identities: readonly Identity[],
): SecureContext {
  // Of several of one kind of key OpenSSL shows the last, Docker the first.
  const shown = identities.toReversed();
  try {
    return createSecureContext({
      ca: [...authorities],
      cert: shown.map(({ certificate }) => certificate),
      key: shown.map(({ key }) => key),
    });
  } catch (error) {
    throw new ArchfarmError('config', `the certificates for ${host} cannot be used: ${messageOf(error)}`, {
      cause: error,
      hint: 'certificates and keys are PEM, and a key is not encrypted and belongs to its certificate',
    });
  }
}

/** A certificate with its key, from files that somebody else made. */
import { createSecureContext } from 'node:tls';
import { ArchfarmError, messageOf } from './errors.ts';

interface Pair {
  readonly certificate: string;
  readonly key: string;
}

/** Throws `config` naming the files that this PEM is from, where TLS could not use it. */
export function requireUsable({ certificate, key }: Pair, files: Pair): void {
  try {
    createSecureContext({ cert: certificate, key });
  } catch (cause) {
    throw new ArchfarmError(
      'config',
      `the certificate ${files.certificate} with the key ${files.key} cannot be used: ${messageOf(cause)}`,
      { hint: 'both are PEM, the key is not encrypted and belongs to the certificate', cause },
    );
  }
}

/** What an agent shows of itself: the certificate that `join` got, or one of another authority. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { ArchfarmError, messageOf } from '../shared/errors.ts';
import { requireUsable } from '../shared/key-pair.ts';
import type { TlsTrust } from '../shared/trust.ts';
import type { CertificateFiles, Identity } from './identity.ts';

export interface AgentCertificate {
  readonly files: CertificateFiles;
  /** `join` got it from the coordinator, which renews it. */
  readonly isOwn: boolean;
}

interface CertificateSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly identity: Identity | undefined;
}

/** That of another authority where one is given, else the one that `join` got. Throws `usage` for half of one. */
export function readCertificate(
  flags: { readonly cert?: string; readonly key?: string },
  { env, identity }: CertificateSources,
): AgentCertificate | undefined {
  const certificate = (flags.cert ?? env['ARCHFARM_CERT']) || undefined;
  const key = (flags.key ?? env['ARCHFARM_KEY']) || undefined;
  if (certificate === undefined && key === undefined) {
    return identity && { files: identity.files, isOwn: true };
  }
  if (certificate !== undefined && key !== undefined) {
    return { files: { certificate: resolve(certificate), key: resolve(key) }, isOwn: false };
  }
  const missing = certificate === undefined ? '--cert' : '--key';
  throw new ArchfarmError('usage', `${missing} is missing: a certificate goes with its key`);
}

/** With what the files hold each time. Throws `config`, now, for files that cannot be used. */
export function trustWith(base: TlsTrust, certificate: AgentCertificate | undefined): () => TlsTrust {
  if (certificate === undefined) return () => base;
  let last = readPair(certificate.files);
  return () => {
    try {
      last = readPair(certificate.files);
    } catch {
      // They are being replaced, one after the other.
    }
    return { ...base, ...last };
  };
}

function readPair(files: CertificateFiles): Required<Pick<TlsTrust, 'cert' | 'key'>> {
  const [cert, key] = [readPem(files.certificate), readPem(files.key)];
  requireUsable({ certificate: cert, key }, files);
  return { cert, key };
}

/** Throws `config` naming the file. */
export function readPem(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ArchfarmError('config', `cannot read the certificate or key ${file}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

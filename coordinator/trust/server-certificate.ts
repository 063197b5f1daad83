/** The certificate that the coordinator shows: its own, renewed in time, or one from files, read again as they change. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import { requireUsable } from '../../shared/key-pair.ts';
import type { Logger } from '../../shared/log.ts';
import { isFor, type Authority } from './authority.ts';
import { followFiles } from './follow-files.ts';
import { belongTogether, isWhole, pairFiles, readPair, writePair, type KeyPair } from './pair-files.ts';

/** Where the coordinator's certificate comes from. */
export type TlsSource =
  | {
      readonly type: 'own';
      /** Instead of this host's names and addresses. */ readonly names: readonly string[];
    }
  | { readonly type: 'files'; readonly certificate: string; readonly key: string };

export interface ServerCertificate {
  readonly pair: KeyPair;
  /** The coordinator's own; undefined where the certificate is from elsewhere. */
  readonly authority: Authority | undefined;
  /** Tells of every later certificate, until it is stopped. */
  follow(onChange: (pair: KeyPair) => void): () => void;
}

export interface CertificateOptions {
  /** Of the coordinator's state. */
  readonly data: string;
  /** Nothing was signed by the own authority, but for a server's certificate. */
  readonly isUnused: boolean;
  readonly log: Logger;
}

const day = 86_400_000;
/** A certificate of our own is good for so long, and renewed when a third of it is left. */
const lifetime = 90 * day;
const renewalInterval = 3_600_000;

/** Throws `config` for what cannot be used. */
export function openServerCertificate(
  source: TlsSource,
  options: CertificateOptions,
): Promise<ServerCertificate> {
  return source.type === 'own' ? ownCertificate(source.names, options) : fromFiles(source, options.log);
}

async function ownCertificate(
  given: readonly string[],
  { data, isUnused, log }: CertificateOptions,
): Promise<ServerCertificate> {
  // Only coordinators with an authority of their own need what makes certificates.
  const { Authority } = await import('./authority.ts');
  const directory = join(data, 'tls');
  const authority = await Authority.open(directory, { isUnused });
  const files = pairFiles(directory, 'server');
  const current = async (): Promise<{ pair: KeyPair; isNew: boolean }> => {
    const names = given.length > 0 ? [...new Set(given)] : ownNames();
    const kept = await readPair(files);
    if (isWhole(kept) && isGood(kept, names, authority)) return { pair: kept, isNew: false };
    const pair = await authority.signServer(names, { now: Date.now(), lifetime });
    await writePair(files, pair);
    log.info({ names }, 'made a server certificate');
    return { pair, isNew: true };
  };
  // Whoever joins knows the authority by its hash alone, and must be shown it.
  const shown = ({ certificate, key }: KeyPair): KeyPair => ({
    certificate: `${certificate.trimEnd()}\n${authority.certificate}`,
    key,
  });
  const { pair } = await current();
  return {
    pair: shown(pair),
    authority,
    follow(onChange) {
      const look = (): void => {
        current().then(
          (made) => made.isNew && onChange(shown(made.pair)),
          (err: unknown) => log.error({ err }, 'the server certificate could not be renewed'),
        );
      };
      const timer = setInterval(look, renewalInterval).unref();
      return () => clearInterval(timer);
    },
  };
}

/** False also for the halves of two, which a crash leaves: another costs nothing. */
function isGood(pair: KeyPair, names: readonly string[], authority: Authority): boolean {
  try {
    const parsed = new X509Certificate(pair.certificate);
    const isOurs = belongTogether(pair) && isFor(parsed, names, authority);
    return isOurs && Date.parse(parsed.validTo) - Date.now() > lifetime / 3;
  } catch {
    return false;
  }
}

/** What this host is called, by others and by itself. */
function ownNames(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  // One that needs a zone is no address that a certificate can name.
  const usable = addresses.filter(({ address }) => !address.startsWith('fe80:'));
  return [...new Set([hostname(), 'localhost', '127.0.0.1', '::1', ...usable.map(({ address }) => address)])];
}

async function fromFiles(
  files: Extract<TlsSource, { type: 'files' }>,
  log: Logger,
): Promise<ServerCertificate> {
  const pair = await readFiles(files);
  return {
    pair,
    authority: undefined,
    follow: (onChange) =>
      followFiles({
        paths: [files.certificate, files.key],
        first: pair,
        read: () => readFiles(files),
        textOf: ({ certificate, key }) => `${certificate}\n${key}`,
        onChange,
        onTrouble: (reason) => log.warn({ reason }, 'went on with the certificate as it was'),
      }),
  };
}

async function readFiles(files: Extract<TlsSource, { type: 'files' }>): Promise<KeyPair> {
  const [certificate, key] = await Promise.all([
    readPem(files.certificate, '--tls-cert'),
    readPem(files.key, '--tls-key'),
  ]);
  requireUsable({ certificate, key }, files);
  return { certificate, key };
}

async function readPem(path: string, flag: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new ArchfarmError('config', `cannot read ${path} of ${flag}: ${messageOf(cause)}`, { cause });
  }
}

/** Certificates in files: a file of CAs, and what Docker keeps for a host below `/etc/docker/certs.d`. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { certificatesIn } from '../../shared/authorities.ts';
import { ArchfarmError, messageOf, systemCode } from '../../shared/errors.ts';

/** A certificate to show, with its key; both PEM. */
export interface Identity {
  readonly certificate: string;
  readonly key: string;
}

export interface HostCertificates {
  /** PEM, each one certificate. */
  readonly authorities: readonly string[];
  readonly identities: readonly Identity[];
}

export const dockerCertificates = '/etc/docker/certs.d';

/** Throws `config` naming the file. */
export async function readAuthorities(path: string): Promise<readonly string[]> {
  const found = certificatesIn(await readPem(path));
  if (found.length > 0) return found;
  throw new ArchfarmError('config', `${path} holds no certificate`, {
    hint: 'a certificate authority is given in PEM: -----BEGIN CERTIFICATE-----',
  });
}

/**
 * As Docker reads it: `*.crt` are authorities, `*.cert` with `*.key` of the same name what to show. Throws `config`
 * naming the file that is unreadable or alone.
 */
export async function readHostCertificates(directory: string, host: string): Promise<HostCertificates> {
  // The host may be one that a registry names.
  if (!/^[\w[]/.test(host) || host.includes('/')) return { authorities: [], identities: [] };
  const below = join(directory, host);
  const names = (await listNames(below)).toSorted();
  const lone = names.find((name) => partnerOf(name) !== undefined && !names.includes(partnerOf(name) ?? ''));
  if (lone !== undefined) {
    throw new ArchfarmError('config', `${join(below, lone)} has no ${partnerOf(lone)} beside it`, {
      hint: 'a client certificate is NAME.cert with NAME.key; a certificate authority is NAME.crt',
    });
  }
  const roots = names.filter((name) => name.endsWith('.crt')).map((name) => join(below, name));
  const shown = names.filter((name) => name.endsWith('.cert')).map((name) => join(below, name));
  return {
    authorities: (await Promise.all(roots.map(readAuthorities))).flat(),
    identities: await Promise.all(
      shown.map(async (path) => ({
        certificate: await readPem(path),
        key: await readPem(path.replace(/\.cert$/, '.key')),
      })),
    ),
  };
}

/** The file without which this one makes no sense. */
function partnerOf(name: string): string | undefined {
  if (name.endsWith('.cert')) return name.replace(/\.cert$/, '.key');
  return name.endsWith('.key') ? name.replace(/\.key$/, '.cert') : undefined;
}

async function listNames(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw unreadable(directory, error);
  }
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): ArchfarmError {
  return new ArchfarmError('config', `cannot read certificates from ${path}: ${messageOf(error)}`);
}

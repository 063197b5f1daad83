/** Whom a TLS connection to the coordinator believes, and what it shows of itself. */
import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { ArchfarmError, messageOf, systemCode } from './errors.ts';

/** PEM throughout; as node:tls takes it. */
export interface TlsTrust {
  /** The authorities that are believed, and no others. */
  readonly ca?: string[];
  readonly minVersion?: 'TLSv1.2';
}

/** What Go programs, Docker among them, read here; Node has only the roots it was built with. */
const systemBundle = '/etc/ssl/certs/ca-certificates.crt';

/** From `--ca FILE` or ARCHFARM_CA; without a file, all that this system trusts. Throws `config` naming the file. */
export function readTrust(file: string | undefined, coordinator: URL): TlsTrust {
  if (coordinator.protocol !== 'https:') return {};
  if (file === undefined || file === '') return { ca: systemRoots(), minVersion: 'TLSv1.2' };
  const ca = certificatesIn(read(file));
  if (ca.length > 0) return { ca, minVersion: 'TLSv1.2' };
  throw new ArchfarmError('config', `${file} holds no certificate`, {
    hint: 'a certificate authority is given in PEM: -----BEGIN CERTIFICATE-----',
  });
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ArchfarmError('config', `cannot read the authority ${file}: ${messageOf(cause)}`, { cause });
  }
}

function systemRoots(): string[] {
  const extra = [systemBundle, process.env['NODE_EXTRA_CA_CERTS'] ?? ''].flatMap((file) => {
    try {
      return file === '' ? [] : certificatesIn(readFileSync(file, 'utf8'));
    } catch {
      return [];
    }
  });
  return [...new Set([...rootCertificates, ...extra])];
}

function certificatesIn(text: string): string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}

/** Why a connection to the coordinator failed, where that has to do with TLS: completes "the coordinator …". */
export function tlsTrouble(error: unknown): { readonly what: string; readonly hint: string } | undefined {
  const code = systemCode(error) ?? '';
  if (code === 'CERT_HAS_EXPIRED') {
    return {
      what: 'shows a certificate that has expired',
      hint: "it must be renewed, unless this machine's clock is wrong: date shows it",
    };
  }
  if (code === 'CERT_NOT_YET_VALID') {
    return {
      what: 'shows a certificate that is not valid yet',
      hint: "check this machine's clock: date shows it",
    };
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH') {
    return {
      what: `shows a certificate for another name: ${messageOf(error)}`,
      hint: 'use a name that it has, or start the coordinator with archfarm serve --tls-name NAME',
    };
  }
  if (/^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_SIGNATURE)/.test(code)) {
    return {
      what: 'shows a certificate of an authority that is not trusted here',
      hint: 'give the certificate of its authority: --ca FILE or ARCHFARM_CA (ca.crt in the data directory of the coordinator, below tls)',
    };
  }
  // OpenSSL's words for an answer that is no TLS; the code is EPROTO.
  if (/wrong[ _]version[ _]number|packet[ _]length[ _]too[ _]long/i.test(`${code} ${messageOf(error)}`)) {
    return {
      what: 'speaks no TLS on this port',
      hint: 'its address begins with http:// or ws://; archfarm serve --tls makes it speak TLS',
    };
  }
  if (/UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION/.test(code)) {
    return { what: 'speaks no TLS 1.2 or later', hint: 'is something else listening there?' };
  }
  return undefined;
}

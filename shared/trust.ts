/** Whom a TLS connection to the coordinator believes, and what it shows of itself. */
import { readFileSync } from 'node:fs';
import type { PeerCertificate } from 'node:tls';
import { certificatesIn, systemAuthorities } from './authorities.ts';
import { ArchfarmError, messageOf, systemCode } from './errors.ts';
import { certificateFailure, type TlsFailure } from './tls-failure.ts';

/** PEM throughout; as node:tls takes it. */
export interface TlsTrust {
  /** The authorities that are believed, and no others. */
  readonly ca?: string[];
  readonly minVersion?: 'TLSv1.2';
  /** What this side shows of itself, with its key. */
  readonly cert?: string;
  readonly key?: string;
  /** A further look at what the other side shows; an error for what is not believed. */
  readonly checkServerIdentity?: (host: string, shown: PeerCertificate) => Error | undefined;
}

/** From `--ca FILE` or ARCHFARM_CA; without a file, all that this system trusts. Throws `config` naming the file. */
export function readTrust(file: string | undefined, coordinator: URL): TlsTrust {
  if (coordinator.protocol !== 'https:') return {};
  if (file === undefined || file === '') return { ca: [...systemAuthorities()], minVersion: 'TLSv1.2' };
  return trustIn(read(file), file);
}

/** The authorities of a text in PEM, and no others. Throws `config` naming where it is `from`. */
export function trustIn(text: string, from: string): TlsTrust {
  const ca = certificatesIn(text);
  if (ca.length > 0) return { ca, minVersion: 'TLSv1.2' };
  throw new ArchfarmError('config', `${from} holds no certificate`, {
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

/**
 * Why a connection to the coordinator failed, where that has to do with TLS: completes "the coordinator …". `url` where
 * there is a choice to do without.
 */
export function tlsTrouble(error: unknown, url?: URL): TlsFailure | undefined {
  const code = systemCode(error) ?? '';
  const refused = certificateFailure(code, {
    names: messageOf(error),
    name: 'use a name that it has, or start the coordinator with archfarm serve --tls-name NAME',
    authority:
      'give the certificate of its authority: --ca FILE or ARCHFARM_CA (ca.crt in the data directory of the coordinator, below tls)',
  });
  if (refused !== undefined) return refused;
  // OpenSSL's words for an answer that is no TLS; the code is EPROTO.
  if (/wrong[ _]version[ _]number|packet[ _]length[ _]too[ _]long/i.test(`${code} ${messageOf(error)}`)) {
    return {
      what: 'speaks no TLS on this port',
      hint: `archfarm serve --tls makes it speak TLS${url === undefined ? '' : `; write http://${url.host} if plain http is meant`}`,
    };
  }
  if (/UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION/.test(code)) {
    return { what: 'speaks no TLS 1.2 or later', hint: 'is something else listening there?' };
  }
  return undefined;
}

/** What the coordinator shows on its port and whom it believes there, as both change. */
import type { X509Certificate } from 'node:crypto';
import type { Logger } from '../../shared/log.ts';
import type { Authority } from './authority.ts';
import { openClientAuthority } from './client-authority.ts';
import { listIssuers } from './issuer-names.ts';
import type { KeyPair } from './pair-files.ts';
import { pinOfChain } from './pin.ts';
import { openServerCertificate, type TlsSource } from './server-certificate.ts';

export interface PortCertificates extends KeyPair {
  /** PEM of those whose certificates agents may show. */
  readonly clientAuthorities: string;
  /** PEM of what lists further names for clients to find their certificate by, and makes nobody believed. */
  readonly issuerNames: readonly string[];
}

export interface PortTls {
  readonly current: PortCertificates;
  /** What signs the certificates of agents; undefined where somebody else does. */
  readonly signer: Authority | undefined;
  /** By which hosts know this coordinator: what a token to join with carries. */
  readonly pin: string;
  /** Has browsers offer the certificates of those who issued these, from the next connection on. */
  listIssuers(certificates: readonly X509Certificate[]): void;
  /** Tells of every later change, until it is stopped. */
  follow(onChange: (changed: PortCertificates) => void): () => void;
}

export interface PortTlsOptions {
  /** File of another authority for the certificates of agents than our own. */
  readonly clientCa: string | undefined;
  /** Of the coordinator's state. */
  readonly data: string;
  /** Nothing was signed by the own authority, but for a server's certificate. */
  readonly isUnused: boolean;
  readonly log: Logger;
}

/** Throws `config` for what cannot be used. */
export async function openPortTls(source: TlsSource, options: PortTlsOptions): Promise<PortTls> {
  const { clientCa: file, data, isUnused, log } = options;
  const server = await openServerCertificate(source, { data, isUnused, log });
  const clients = await openClientAuthority({ file, own: server.authority, data, isUnused, log });
  let current: PortCertificates = {
    ...server.pair,
    clientAuthorities: clients.certificates,
    issuerNames: [],
  };
  const followers = new Set<(changed: PortCertificates) => void>();
  const change = (changed: Partial<PortCertificates>): void => {
    current = { ...current, ...changed };
    for (const tell of followers) tell(current);
  };
  return {
    get current() {
      return current;
    },
    signer: clients.signer,
    get pin() {
      return pinOfChain(current.certificate);
    },
    listIssuers(certificates) {
      const issuerNames = listIssuers(certificates);
      // Clients that know this port take up earlier connections for as long as nothing changes.
      if (issuerNames.join('') !== current.issuerNames.join('')) change({ issuerNames });
    },
    follow(onChange) {
      followers.add(onChange);
      const stops = [
        server.follow(change),
        clients.follow((clientAuthorities) => change({ clientAuthorities })),
        () => followers.delete(onChange),
      ];
      return () => stops.forEach((stop) => stop());
    },
  };
}

/** The certificates that a coordinator shows, looked at before anything of it is believed. */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { within } from './abort.ts';
import { ArchfarmError, messageOf } from './errors.ts';
import { tlsTrouble } from './trust.ts';

/** Milliseconds for the handshake. */
const patience = 10_000;
/** Certificates of a chain that are looked at; authorities point at themselves. */
const maxChain = 10;

/**
 * The coordinator's own first. Nothing is sent beyond the handshake, and whoever answers is hung up on. Throws
 * `coordinator-unreachable`.
 */
export async function shownChain(coordinator: URL, signal: AbortSignal): Promise<X509Certificate[]> {
  const host = coordinator.hostname.replace(/^\[|\]$/g, '');
  const socket = connect({
    host,
    port: Number(coordinator.port || 443),
    // TLS has no names of this kind for addresses.
    ...(isIP(host) === 0 ? { servername: host } : {}),
    minVersion: 'TLSv1.2',
    // Whether it is believed is decided by what is shown, before anything is said.
    rejectUnauthorized: false,
  });
  try {
    const late = (): Error => new Error(`no handshake within ${patience / 1000} s`);
    await within(patience, { signal, late }, (limited) => once(socket, 'secureConnect', { signal: limited }));
    return chainOf(socket.getPeerCertificate(true));
  } catch (cause) {
    const trouble = tlsTrouble(cause);
    throw new ArchfarmError(
      'coordinator-unreachable',
      `${coordinator.href} ${trouble?.what ?? `does not answer: ${messageOf(cause)}`}`,
      { hint: trouble?.hint ?? 'is it running there, with TLS?', cause },
    );
  } finally {
    socket.on('error', () => {});
    socket.destroy();
  }
}

function chainOf(leaf: DetailedPeerCertificate): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next: DetailedPeerCertificate | undefined = leaf;
  while (next?.raw !== undefined && chain.length < maxChain) {
    chain.push(new X509Certificate(next.raw));
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
  }
  return chain;
}

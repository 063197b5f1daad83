/** The authority that a coordinator shows, found by its fingerprint: nothing is sent to whoever shows another one. */
import { once } from 'node:events';
import { X509Certificate } from 'node:crypto';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';

/** Milliseconds. */
const patience = 10_000;

/** Lower case hexadecimal. Throws `usage` for what is no sha256. */
export function parseFingerprint(text: string): string {
  const bare = text
    .replace(/^sha256:/i, '')
    .replaceAll(':', '')
    .toLowerCase();
  if (/^[0-9a-f]{64}$/.test(bare)) return bare;
  throw new ArchfarmError('usage', `--fingerprint ${JSON.stringify(text)} is not a sha256`, {
    hint: 'on the coordinator: openssl x509 -in DATA/tls/ca.crt -noout -fingerprint -sha256',
  });
}

/** PEM. Throws `config` where the coordinator shows no certificate with this fingerprint. */
export async function shownAuthority(coordinator: URL, fingerprint: string): Promise<string> {
  const { hostname, port } = coordinator;
  const host = hostname.replace(/^\[|\]$/g, '');
  // Nothing is believed yet, and nothing is said: it is looked at, and hung up on.
  const socket = connect({
    host,
    port: Number(port || 443),
    servername: servername(host),
    rejectUnauthorized: false,
  });
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(patience) });
    for (const certificate of chainOf(socket.getPeerCertificate(true))) {
      if (certificate.fingerprint256.replaceAll(':', '').toLowerCase() === fingerprint) {
        return new X509Certificate(certificate.raw).toString();
      }
    }
  } catch (cause) {
    throw new ArchfarmError(
      'coordinator-unreachable',
      `cannot look at the certificates of ${coordinator.href}: ${messageOf(cause)}`,
      { cause, hint: 'is it running there, with TLS?' },
    );
  } finally {
    socket.destroy();
  }
  throw new ArchfarmError('unauthorized', `${coordinator.href} shows no certificate with this fingerprint`, {
    hint: 'compare it with the one on the coordinator itself; if that is right, somebody else answers at this address',
  });
}

function* chainOf(leaf: DetailedPeerCertificate): Generator<DetailedPeerCertificate> {
  const seen = new Set<string>();
  for (
    let at: DetailedPeerCertificate | undefined = leaf;
    at?.raw !== undefined && !seen.has(at.fingerprint256);
  ) {
    seen.add(at.fingerprint256);
    yield at;
    at = at.issuerCertificate;
  }
}

/** TLS has no names of this kind for addresses. */
function servername(host: string): string {
  return /^[\d.]+$|:/.test(host) ? '' : host;
}

/**
 * How a host that joins knows its coordinator before it believes anything that it says: one of the certificates that it
 * shows has the sha256 that came with the token.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { checkServerIdentity, connect, type DetailedPeerCertificate } from 'node:tls';
import { ArchfarmError, messageOf } from '../shared/errors.ts';
import { readTrust, tlsTrouble, type TlsTrust } from '../shared/trust.ts';

export interface PinnedCoordinator {
  /** For connections on which secrets may be sent. */
  readonly trust: TlsTrust;
  /** PEM of the authority that vouches for the coordinator; undefined where that is one of `caFile` or of the system. */
  readonly ca: string | undefined;
}

export interface PinOptions {
  /** The https form. */
  readonly coordinator: URL;
  /** sha256, base64url. */
  readonly pin: string;
  /** Authorities to believe where the pin is that of the coordinator's own certificate. */
  readonly caFile: string | undefined;
  readonly signal: AbortSignal;
}

/** Milliseconds for the handshake. */
const patience = 10_000;
/** Certificates of a chain that are looked at; authorities point at themselves. */
const maxChain = 10;

/** Sends nothing beyond the handshake. Throws `unauthorized` where the pin is not met, `coordinator-unreachable`. */
export async function recognize({
  coordinator,
  pin,
  caFile,
  signal,
}: PinOptions): Promise<PinnedCoordinator> {
  const chain = await shownChain(coordinator, signal);
  const known = chain.find((certificate) => pinOf(certificate.raw) === pin);
  if (known === undefined) {
    throw new ArchfarmError(
      'unauthorized',
      `${coordinator.href} shows no certificate that the token was made for; nothing was sent to it`,
      {
        hint: 'somebody may be in between, or it has new certificates: look there, and make a new token with archfarm agents add',
      },
    );
  }
  if (isSelfSigned(known)) {
    const ca = known.toString();
    return { trust: { ca: [ca], minVersion: 'TLSv1.2' }, ca };
  }
  const trust: TlsTrust = {
    ...readTrust(caFile, coordinator),
    checkServerIdentity: (host, shown) =>
      checkServerIdentity(host, shown) ??
      (pinOf(shown.raw) === pin ? undefined : new Error('another certificate than a moment ago')),
  };
  return { trust, ca: undefined };
}

/** The server's own certificate first. */
async function shownChain(coordinator: URL, signal: AbortSignal): Promise<X509Certificate[]> {
  const host = coordinator.hostname.replace(/^\[|\]$/g, '');
  const socket = connect({
    host,
    port: Number(coordinator.port || 443),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    minVersion: 'TLSv1.2',
    // Whether it is believed is decided by what is shown, before anything is said.
    rejectUnauthorized: false,
  });
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.any([signal, AbortSignal.timeout(patience)]) });
    const chain: X509Certificate[] = [];
    let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
    while (next?.raw !== undefined && chain.length < maxChain) {
      chain.push(new X509Certificate(next.raw));
      next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
    }
    return chain;
  } catch (cause) {
    const trouble = tlsTrouble(cause);
    throw new ArchfarmError(
      'coordinator-unreachable',
      `${coordinator.href} ${trouble?.what ?? `does not answer: ${messageOf(cause)}`}`,
      { hint: trouble?.hint ?? 'is it running there?', cause },
    );
  } finally {
    socket.on('error', () => {});
    socket.destroy();
  }
}

function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey);
}

function pinOf(raw: Buffer): string {
  return createHash('sha256').update(raw).digest('base64url');
}

/**
 * How a host that joins knows its coordinator before it believes anything that it says: one of the certificates that it
 * shows has the sha256 that came with the token.
 */
import { checkServerIdentity } from 'node:tls';
import { ArchfarmError } from '../shared/errors.ts';
import { isSelfSigned, pinOf } from '../shared/pin.ts';
import { shownChain } from '../shared/shown-chain.ts';
import { readTrust, type TlsTrust } from '../shared/trust.ts';

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

/** By which of the certificates that it shows a joining host knows the coordinator. */
import { X509Certificate } from 'node:crypto';
import { certificatesIn } from '../../shared/authorities.ts';
import { isSelfSigned, pinOf } from '../../shared/pin.ts';

/**
 * Of the last certificate of a chain (PEM), where that is an authority or signed by itself; else of the first: the
 * authority above an intermediate one vouches for others as well.
 */
export function pinOfChain(chain: string): string {
  const certificates = certificatesIn(chain);
  const [first, last] = [certificates[0], certificates.at(-1)].map((text) => new X509Certificate(text ?? ''));
  const known = last !== undefined && isSelfSigned(last) ? last : first;
  return pinOf(known?.raw ?? Buffer.alloc(0));
}

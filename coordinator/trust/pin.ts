/** By which of the certificates that it shows a joining host knows the coordinator. */
import { createHash, X509Certificate } from 'node:crypto';

/**
 * sha256 (base64url) of the last certificate of a chain (PEM), where that is an authority or signed by itself; else of the
 * first: the authority above an intermediate one vouches for others as well.
 */
export function pinOf(chain: string): string {
  const certificates = chain.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const [first, last] = [certificates[0], certificates.at(-1)].map((text) => new X509Certificate(text ?? ''));
  const known = last !== undefined && isSelfSigned(last) ? last : first;
  return createHash('sha256')
    .update(known?.raw ?? '')
    .digest('base64url');
}

function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey);
}

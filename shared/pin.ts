/** How a host that joins knows a certificate: both sides must find the same. */
import { createHash, type X509Certificate } from 'node:crypto';

/** sha256, base64url. `raw` is the certificate in DER. */
export function pinOf(raw: Buffer): string {
  return createHash('sha256').update(raw).digest('base64url');
}

/** An authority that nobody vouches for but itself. */
export function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey);
}

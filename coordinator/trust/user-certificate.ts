/** Certificates by which users sign in, as files hold them: what is one, and which would make an agent known instead. */
import { X509Certificate } from 'node:crypto';
import { certificatesIn } from '../../shared/authorities.ts';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import { fingerprintOf, type Identities } from './identities.ts';

/** Bytes of PEM, with those who issued it. */
export const maxPem = 64 * 1024;

/**
 * The user's certificate, and those after it. Throws `usage` for what is none, what has expired, and what no other than
 * its user should have. `where`: what the text is from, as messages call it.
 */
export function readUserCertificate(
  text: string,
  where: string,
): readonly [X509Certificate, ...X509Certificate[]] {
  const refuse = (what: string, hint?: string): ArchfarmError =>
    new ArchfarmError('usage', `${where} ${what}`, { hint });
  if (Buffer.byteLength(text) > maxPem) {
    throw refuse('is larger than 64 KiB', 'it is one certificate in PEM, perhaps with those who issued it');
  }
  const [, key] = /-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----/.exec(text) ?? [];
  if (key !== undefined) {
    throw refuse(
      `has a private key in it (${key})`,
      'the key stays with its user, and the coordinator takes none: openssl x509 -in FILE -out user.crt copies the certificate alone',
    );
  }
  const [first, ...rest] = certificatesIn(text).map((pem) => {
    try {
      return new X509Certificate(pem);
    } catch (cause) {
      throw new ArchfarmError(
        'usage',
        `${where} has a certificate that cannot be read: ${messageOf(cause)}`,
        {
          hint: 'openssl x509 -in FILE -noout -text shows what it is',
          cause,
        },
      );
    }
  });
  if (first === undefined) {
    throw refuse(
      'has no certificate in PEM in it',
      'openssl x509 -inform der -in FILE turns DER into PEM, openssl pkcs12 -in FILE -nokeys -clcerts a .p12 file',
    );
  }
  if (
    rest.some((other) => other.checkIssued(first) && other.verify(first.publicKey) && !isSame(other, first))
  ) {
    throw refuse(
      'begins with the certificate of an authority',
      "the user's own comes first, then who issued it",
    );
  }
  if (!(Date.now() <= Date.parse(first.validTo))) {
    throw refuse(`has a certificate that has expired on ${first.validTo}`, "is this machine's clock right?");
  }
  return [first, ...rest];
}

export interface AgentRules {
  readonly identities: Pick<Identities, 'hasCertificate'>;
  /** PEM of those whose certificates make agents. */
  readonly authorities: string;
}

/** Throws `usage` where the certificate makes an agent known, or would by its authority. */
export function requireNoAgent(
  [certificate, ...issuers]: readonly X509Certificate[],
  { identities, authorities }: AgentRules,
): void {
  if (certificate === undefined) return;
  if (identities.hasCertificate(fingerprintOf(certificate))) {
    throw new ArchfarmError('usage', 'the certificate is that of an agent', {
      hint: 'give the user one of its own',
    });
  }
  const known = certificatesIn(authorities).map((pem) => new X509Certificate(pem));
  const isTheirs = (one: X509Certificate): boolean =>
    known.some(
      (authority) =>
        isSame(one, authority) || (one.checkIssued(authority) && one.verify(authority.publicKey)),
    );
  if (![certificate, ...issuers].some(isTheirs)) return;
  throw new ArchfarmError('usage', 'the certificate is of the authority whose certificates make agents', {
    hint: 'users need certificates of another one, or their own; serve --client-ca is to name one that makes agents alone',
  });
}

function isSame(one: X509Certificate, other: X509Certificate): boolean {
  return one.raw.equals(other.raw);
}

/** Why a TLS connection failed, and what somebody can do about it. */

export interface TlsFailure {
  /** Completes "registry HOST …". */
  readonly what: string;
  readonly hint: string;
}

/** Of an error code of Node or OpenSSL; undefined for what has to do with no certificate. */
export function tlsFailure(code: string, host: string): TlsFailure | undefined {
  if (code === 'CERT_HAS_EXPIRED') {
    return {
      what: 'shows a certificate that has expired',
      hint: "it must be renewed, unless this machine's clock is wrong",
    };
  }
  if (code === 'CERT_NOT_YET_VALID') {
    return { what: 'shows a certificate that is not valid yet', hint: "check this machine's clock" };
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH') {
    return {
      what: 'shows a certificate for another name',
      hint: 'use a name that the certificate has, or have one made for this name',
    };
  }
  if (unknownAuthority.test(code)) {
    return {
      what: 'shows a certificate of an authority that is not known here',
      hint: `give the certificate of its authority: --registry-ca FILE, or /etc/docker/certs.d/${host}/ca.crt`,
    };
  }
  if (otherCertificate.test(code)) {
    return {
      what: 'shows a certificate that is not trusted',
      hint: 'the registry needs another certificate',
    };
  }
  if (clientRefused.test(code)) {
    return {
      what: 'did not accept the certificate that was shown to it, or wants one',
      hint: clientCertificateHint(host),
    };
  }
  return undefined;
}

export function clientCertificateHint(host: string): string {
  return `a certificate that it wants of its clients belongs in /etc/docker/certs.d/${host}/client.cert and client.key`;
}

const unknownAuthority = /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_)/;
const otherCertificate = /^(CERT_|ERR_TLS_CERT)/;
const clientRefused =
  /_ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_UNKNOWN|HANDSHAKE_FAILURE)$/;

/** Why a TLS connection to a registry failed, and what somebody can do about it. */
import { certificateFailure, type TlsFailure } from '../../shared/tls-failure.ts';

/** Of an error code of Node or OpenSSL; undefined for what has to do with no certificate. */
export function tlsFailure(code: string, host: string): TlsFailure | undefined {
  if (clientRefused.test(code)) {
    return {
      what: 'did not accept the certificate that was shown to it, or wants one',
      hint: clientCertificateHint(host),
    };
  }
  return certificateFailure(code, {
    name: 'use a name that the certificate has, or have one made for this name',
    authority: `give the certificate of its authority: --registry-ca FILE, or /etc/docker/certs.d/${host}/ca.crt`,
  });
}

export function clientCertificateHint(host: string): string {
  return `a certificate that it wants of its clients belongs in /etc/docker/certs.d/${host}/client.cert and client.key`;
}

const clientRefused =
  /_ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_UNKNOWN|HANDSHAKE_FAILURE)$/;

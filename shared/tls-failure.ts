/** Why a TLS connection failed over a certificate, and what somebody can do about it. */

export interface TlsFailure {
  /** Completes "the coordinator …" and "registry HOST …". */
  readonly what: string;
  readonly hint: string;
}

/** What helps depends on who showed the certificate. */
export interface TlsHints {
  readonly name: string;
  readonly authority: string;
  /** Which names do not fit each other, where nothing else tells it. */
  readonly names?: string;
}

/** Of an error code of Node or OpenSSL; undefined for what has to do with no certificate that was shown. */
export function certificateFailure(code: string, hints: TlsHints): TlsFailure | undefined {
  if (code === 'CERT_HAS_EXPIRED') {
    return {
      what: 'shows a certificate that has expired',
      hint: "it must be renewed, unless this machine's clock is wrong: date shows it",
    };
  }
  if (code === 'CERT_NOT_YET_VALID') {
    return {
      what: 'shows a certificate that is not valid yet',
      hint: "check this machine's clock: date shows it",
    };
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH') {
    const names = hints.names === undefined ? '' : `: ${hints.names}`;
    return { what: `shows a certificate for another name${names}`, hint: hints.name };
  }
  if (unknownAuthority.test(code)) {
    return { what: 'shows a certificate of an authority that is not trusted here', hint: hints.authority };
  }
  if (otherCertificate.test(code)) {
    return { what: 'shows a certificate that is not trusted', hint: 'it needs another certificate' };
  }
  return undefined;
}

const unknownAuthority = /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_SIGNATURE)/;
const otherCertificate = /^(CERT_|ERR_TLS_CERT)/;

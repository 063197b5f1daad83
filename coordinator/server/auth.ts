/** Who may speak to the coordinator: whoever presents its token, where it has one. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

export class TokenAuth {
  readonly #expected: Buffer | undefined;

  /** Without a token everybody is let in: for loopback only. */
  constructor(token: string | undefined) {
    this.#expected = token === undefined ? undefined : digestOf(token);
  }

  /** Compares digests, so that neither content nor length of the token shows in the time taken. */
  admits(headers: IncomingHttpHeaders): boolean {
    // A browser sends Origin with what a foreign page asks of it; no client of ours does.
    if (headers.origin !== undefined) return false;
    // A name that leads here from a foreign page (DNS rebinding) is not one of this machine's own.
    if (this.#expected === undefined) return isLoopback(hostOf(headers.host ?? ''));
    const token = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
    return token !== undefined && timingSafeEqual(digestOf(token), this.#expected);
  }
}

/** Without the port. */
function hostOf(host: string): string {
  return host.replace(/:\d+$/, '');
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Whether an address to listen on is reachable from this machine alone. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Who somebody is, by what a request shows: a certificate, a token, or being on this machine. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { isLoopback } from '../../shared/address.ts';
import { isFromForeignPage } from './own-page.ts';
import type { JoinedAgent, Principal, User } from './principal.ts';

export interface AuthenticatorOptions {
  /** That agents and clients share; undefined where there is none. */
  readonly token: string | undefined;
  /** Whether nobody beyond this machine can connect. */
  readonly onlyHere: boolean;
  /** The user of a token with this sha256 (hexadecimal). */
  readonly userOf?: (hash: string) => User | undefined;
  /** The agent whose certificate this connection shows. */
  readonly agentOf?: (socket: Socket) => JoinedAgent | undefined;
  /** The user whose certificate it shows; throws for one that does not count. */
  readonly shownUserOf?: (socket: Socket) => User | undefined;
}

export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #shared: Buffer | undefined;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
    this.#shared = options.token === undefined ? undefined : digestOf(options.token);
  }

  /** Undefined for who shows nothing that counts here. Throws `unauthorized` for a certificate that does not, and why. */
  identify(headers: IncomingHttpHeaders, socket: Socket): Principal | undefined {
    if (isFromForeignPage(headers, socket)) return undefined;
    const { onlyHere, userOf, agentOf, shownUserOf } = this.#options;
    const agent = agentOf?.(socket);
    if (agent !== undefined) return agent;
    // Browsers show a certificate by themselves; who gives a token means that one.
    if (headers.authorization !== undefined) {
      const token = /^Bearer +(\S+)$/i.exec(headers.authorization)?.[1];
      if (token === undefined) return undefined;
      // Digests are compared, so that neither content nor length of a token shows in the time taken.
      const digest = digestOf(token);
      if (this.#shared !== undefined && timingSafeEqual(digest, this.#shared)) return { type: 'token' };
      return userOf?.(digest.toString('hex'));
    }
    const user = shownUserOf?.(socket);
    if (user !== undefined) return user;
    // A name that leads here from a foreign page (DNS rebinding) is not one of this machine's own.
    const isOwnName = isLoopback(hostOf(headers.host ?? ''));
    const isHere = onlyHere && this.#shared === undefined && isOwnName && !isPassedOn(headers);
    return isHere ? { type: 'machine' } : undefined;
  }
}

/** What proxies add: whoever one of them speaks for may be anywhere. */
const ofProxies = [
  'forwarded',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
];

function isPassedOn(headers: IncomingHttpHeaders): boolean {
  return ofProxies.some((name) => headers[name] !== undefined);
}

/** Without the port. */
function hostOf(host: string): string {
  return host.replace(/:\d+$/, '');
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

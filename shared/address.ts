/** Where a coordinator is: one port serves HTTP and WebSocket, so every spelling of its address means both. */
import { ArchfarmError } from './errors.ts';

export interface AddressOptions {
  /** Something says that it speaks TLS: an authority for it is given, or was kept. */
  readonly tls?: boolean;
}

/**
 * Reads `ws://`, `wss://`, `http://`, `https://` or `HOST:PORT`; gives the http(s) form. Without a scheme only this
 * machine is spoken to in clear, and not where TLS is known of: a token goes there. Throws `usage`.
 */
export function parseCoordinatorUrl(text: string, { tls = false }: AddressOptions = {}): URL {
  const hint = 'the form is ws://HOST:PORT, wss://…, http://…, https://… or HOST:PORT';
  const parse = (full: string): URL => {
    if (URL.canParse(full)) return new URL(full);
    throw new ArchfarmError('usage', `invalid coordinator address ${JSON.stringify(text)}`, { hint });
  };
  const hasScheme = /^[a-z]+:\/\//i.test(text);
  const isPlain = !hasScheme && !tls && isThisHost(parse(`http://${text}`));
  const url = parse(hasScheme ? text : `${isPlain ? 'http' : 'https'}://${text}`);
  const protocol = { 'ws:': 'http:', 'http:': 'http:', 'wss:': 'https:', 'https:': 'https:' }[url.protocol];
  if (
    protocol === undefined ||
    url.hostname === '' ||
    url.username !== '' ||
    url.search !== '' ||
    url.hash !== ''
  ) {
    throw new ArchfarmError('usage', `invalid coordinator address ${JSON.stringify(text)}`, { hint });
  }
  // URL refuses to change between special and other schemes in place; ws and http are both special.
  return new URL(`${protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}/`);
}

/** Whether a host, without its port, can be reached from this machine alone: localhost, 127.0.0.0/8 and ::1. */
export function isLoopback(host: string): boolean {
  return /^(localhost|\[?::1\]?|127(\.\d{1,3}){3})$/i.test(host);
}

export function isThisHost({ hostname }: URL): boolean {
  return isLoopback(hostname);
}

/** Whether what is said there, a token too, can be read on the way. */
export function isInClear(coordinator: URL): boolean {
  return coordinator.protocol === 'http:' && !isThisHost(coordinator);
}

/** What to say of a token that is sent so. */
export function inClearWarning(coordinator: URL): string {
  return `the token travels unencrypted to ${coordinator.href}: https://${coordinator.host} is its address where it speaks TLS`;
}

/** The WebSocket form of a path at a coordinator. */
export function webSocketUrl(coordinator: URL, path: string): URL {
  const url = new URL(path.replace(/^\//, ''), coordinator);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url;
}

/** Where a coordinator is: one port serves HTTP and WebSocket, so every spelling of its address means both. */
import { ArchfarmError } from './errors.ts';

/** Reads `ws://`, `wss://`, `http://`, `https://` or `HOST:PORT`; gives the http(s) form. Throws `usage`. */
export function parseCoordinatorUrl(text: string): URL {
  const hint = 'the form is ws://HOST:PORT, wss://…, http://…, https://… or HOST:PORT';
  const full = /^[a-z]+:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(full))
    throw new ArchfarmError('usage', `invalid coordinator address ${JSON.stringify(text)}`, { hint });
  const url = new URL(full);
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

/** The WebSocket form of a path at a coordinator. */
export function webSocketUrl(coordinator: URL, path: string): URL {
  const url = new URL(path.replace(/^\//, ''), coordinator);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url;
}

/** Whether a web page makes a request, and which one: its browser says so. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/**
 * True for what any page but the coordinator's own has a browser send. A browser shows the certificate of its user
 * whichever page asks, so this alone stands between such a page and what the user may do.
 */
export function isFromForeignPage(headers: IncomingHttpHeaders, socket: Socket): boolean {
  const { origin, host = '', 'sec-fetch-site': site } = headers;
  // Only pages that a browser trusts make it say this; `none` is what a person typed.
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true;
  // Programs send none, and browsers none when a page gets something from where it came from.
  if (origin === undefined) return false;
  // Whoever is between can make a page of this host without TLS.
  if (socket instanceof TLSSocket && !/^https:/i.test(origin)) return true;
  return hostOf(origin) !== host.toLowerCase();
}

/** With its port; undefined of an origin that browsers keep to themselves (`null`). */
function hostOf(origin: string): string | undefined {
  return /^https?:\/\/([^/]+)$/.exec(origin.toLowerCase())?.[1];
}

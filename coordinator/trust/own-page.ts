/** Whether a web page makes a request, and which one: its browser says so. */
import type { IncomingHttpHeaders } from 'node:http';

/**
 * True for what any page but the coordinator's own has a browser send. The dashboard holds its token itself and
 * sends no cookie, so a page that is refused here has nothing else to act with.
 */
export function isFromForeignPage(headers: IncomingHttpHeaders): boolean {
  const { origin, host = '', 'sec-fetch-site': site } = headers;
  // Only pages that a browser trusts make it say this; `none` is what a person typed.
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true;
  // Programs send none, and browsers none when a page gets something from where it came from.
  if (origin === undefined) return false;
  return hostOf(origin) !== host.toLowerCase();
}

/** With its port; undefined of an origin that browsers keep to themselves (`null`). */
function hostOf(origin: string): string | undefined {
  return /^https?:\/\/([^/]+)$/.exec(origin.toLowerCase())?.[1];
}

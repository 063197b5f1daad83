/**
 * Where a registry may have us sign in. It names the place itself, in a header: whoever has taken it over, or stands
 * before it, would have its users' credentials sent anywhere.
 */
import { isIP } from 'node:net';
import { isLoopbackName, type Endpoint } from './endpoint.ts';
import { RegistryError } from './registry-error.ts';
import { said } from './said.ts';

export interface RealmRules {
  readonly endpoint: Endpoint;
  /** Hosts that the user has said to be token servers, whatever registry names them. */
  readonly tokenServers: readonly string[];
}

/** Throws `registry-error` for one that is not spoken to, or not with credentials while there are some. */
export function realmOf(
  text: string,
  { endpoint, tokenServers, signsIn }: RealmRules & { readonly signsIn: boolean },
): URL {
  const realm = URL.canParse(text, endpoint.origin) ? new URL(text, endpoint.origin) : undefined;
  const secure = realm?.protocol === 'https:' || (endpoint.plain && realm?.protocol === 'http:');
  if (realm === undefined || text === '' || !secure || realm.username !== '' || realm.password !== '') {
    throw new RegistryError(
      'registry-error',
      `registry ${endpoint.host} asks to sign in at "${said(text, 200)}", where credentials are not sent`,
      { hint: `a token server must be reached by https, unless ${endpoint.host} is declared insecure` },
    );
  }
  if (signsIn && !mayHaveCredentials(realm, { endpoint, tokenServers })) {
    throw new RegistryError(
      'registry-error',
      `registry ${endpoint.host} asks to sign in at ${realm.origin}, to which its credentials are not sent: it is in another domain`,
      { hint: `if ${realm.hostname} is its token server, say so: --token-server ${realm.hostname}` },
    );
  }
  return realm;
}

/** The registry's own host, on whatever port, and what is in the domain that this host is in. */
function mayHaveCredentials(realm: URL, { endpoint, tokenServers }: RealmRules): boolean {
  const home = new URL(endpoint.origin).hostname;
  const { hostname } = realm;
  if (hostname === home || (isLoopbackName(hostname) && isLoopbackName(home))) return true;
  if (tokenServers.some((server) => server.toLowerCase() === hostname || server.toLowerCase() === realm.host))
    return true;
  const domain = domainOf(home);
  return domain !== undefined && (hostname === domain || hostname.endsWith(`.${domain}`));
}

/** `example.com` of `registry.example.com`; of an address, or where anybody may be a neighbour, there is none. */
function domainOf(host: string): string | undefined {
  if (isIP(host) !== 0 || host.startsWith('[')) return undefined;
  const domain = host.slice(host.indexOf('.') + 1);
  return !domain.includes('.') || underCountry.test(domain) ? undefined : domain;
}

/** `co.uk`, `com.br`: below them is everybody. */
const underCountry = /^(ac|co|com|edu|gen|gob|gov|gv|mil|ne|net|nom|or|org|sch)\.[a-z]{2}$/;

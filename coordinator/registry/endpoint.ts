/** Where a registry that a reference names is reached, and under which key its credentials are kept. */
import { isLoopback } from '../../shared/address.ts';

export interface Endpoint {
  /** As references write it: `docker.io`, `localhost:5000`. */
  readonly host: string;
  /** `https://registry-1.docker.io`, without a slash at the end. */
  readonly origin: string;
  /** Spoken to without TLS. */
  readonly plain: boolean;
  /** The key in Docker's `config.json` and for credential helpers. */
  readonly credentialKey: string;
}

export const dockerHub: Endpoint = {
  host: 'docker.io',
  origin: 'https://registry-1.docker.io',
  plain: false,
  credentialKey: 'https://index.docker.io/v1/',
};

/** The host as references write it, of one as an engine reaches it. */
export function referenceHost(host: string): string {
  return host === 'registry-1.docker.io' || host === 'index.docker.io' ? dockerHub.host : host;
}

/**
 * `insecure`: hosts with their ports, as references write them, that are spoken to without TLS. `certified`: somebody
 * keeps certificates for this host, so that a name of this machine means TLS too.
 */
export function endpointOf(host: string, insecure: readonly string[], certified = false): Endpoint {
  if (host === dockerHub.host) return dockerHub;
  const declared = insecure.some((entry) => entry.toLowerCase() === host.toLowerCase());
  const plain = declared || (isLoopbackName(host) && !certified);
  const origin = new URL(`${plain ? 'http' : 'https'}://${host}`).origin;
  return { host, origin, plain, credentialKey: host };
}

/** Nobody can listen in, and Docker takes them as insecure too. */
export function isLoopbackName(host: string): boolean {
  return isLoopback(host.replace(/:\d+$/, ''));
}

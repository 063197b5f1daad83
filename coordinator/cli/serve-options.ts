/** The flags of `archfarm serve`. */
import { ArchfarmError } from '../../shared/errors.ts';

export interface ServeOptions {
  readonly listen: ListenAddress;
  /** Directory of the coordinator's state; undefined means the usual place. */
  readonly data?: string | undefined;
  /** Hosts to speak plain http to. */
  readonly insecureRegistry: readonly string[];
  /** Directory of the `config.json` with the registries' credentials; undefined means docker's own. */
  readonly registryConfig?: string | undefined;
}

export interface ListenAddress {
  readonly host: string;
  /** 0 is any free port. */
  readonly port: number;
}

/** Reads `HOST:PORT`, IPv6 hosts in brackets; throws `usage`. */
export function parseListenAddress(text: string): ListenAddress {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host !== undefined && port <= 65_535) return { host, port };
  throw new ArchfarmError('usage', `invalid address to listen on: ${JSON.stringify(text)}`, {
    hint: 'the form is HOST:PORT, for example 127.0.0.1:7480 or [::]:7480',
  });
}

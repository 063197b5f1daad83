/** Connections for one registry: to an address that was looked at before it is dialled, and to nobody who cannot prove a name. */
import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import type { SecureContext } from 'node:tls';
import { buildConnector } from 'undici';
import type { Trust } from './trust.ts';

type Connector = buildConnector.connector;

export interface ConnectorOptions {
  /** As references write it. */
  readonly registry: string;
  readonly trust: Trust;
  /** Milliseconds. */
  readonly timeout: number;
  /** The system's, if not given. */
  readonly lookup?: LookupFunction | undefined;
  /** An error for an address that must not be dialled. */
  readonly refuse?: (address: string, hostname: string) => Error | undefined;
  /** `host:port` of a URL as the registry's own certificates are kept under. */
  readonly nameOf: (host: string) => string;
}

export function connectorFor(options: ConnectorOptions): Connector {
  const { registry, trust, timeout, refuse } = options;
  const lookup = checked(options.lookup ?? systemLookup, refuse);
  const plain = buildConnector({ timeout, lookup });
  const secure = new WeakMap<SecureContext, Connector>();
  const secureConnector = async (host: string): Promise<Connector> => {
    const secureContext = await trust.context(options.nameOf(host), registry);
    const connect = secure.get(secureContext) ?? buildConnector({ timeout, lookup, secureContext });
    secure.set(secureContext, connect);
    return connect;
  };
  const open = async (target: buildConnector.Options, callback: buildConnector.Callback): Promise<void> => {
    const address = target.hostname.replace(/^\[|\]$/g, '');
    const refused = isIP(address) === 0 ? undefined : refuse?.(address, target.hostname);
    if (refused !== undefined) return callback(refused, null);
    let connect = plain;
    try {
      if (target.protocol === 'https:') connect = await secureConnector(target.host ?? target.hostname);
    } catch (error) {
      return callback(error instanceof Error ? error : new Error(String(error)), null);
    }
    connect(target, (...outcome) => {
      // A server of TLS 1.3 refuses a client's certificate after the handshake, and then hangs up: the first is the reason.
      const [, socket] = outcome;
      if (target.protocol === 'https:') socket?.prependOnceListener('error', () => socket.destroy());
      callback(...outcome);
    });
  };
  return (target, callback) => void open(target, callback);
}

/** What is checked is what is dialled: the name is not resolved a second time, when it might mean another address. */
function checked(lookup: LookupFunction, refuse: ConnectorOptions['refuse']): LookupFunction {
  if (refuse === undefined) return lookup;
  return (hostname, options, callback) => {
    lookup(hostname, options, (error, addresses, family) => {
      if (error !== null) return callback(error, addresses, family);
      const found = typeof addresses === 'string' ? [{ address: addresses }] : addresses;
      // One forbidden address among good ones is reason enough: no honest name has both.
      const refused = found
        .map(({ address }) => refuse(address, hostname))
        .find((each) => each !== undefined);
      callback(refused ?? null, addresses, family);
    });
  };
}

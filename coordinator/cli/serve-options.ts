/** The flags of `archfarm serve`. */
import { ArchfarmError } from '../../shared/errors.ts';
import { timersFrom, type Timers } from '../../shared/timers.ts';
import { parseDuration } from '../../shared/duration.ts';
import type { TlsSource } from '../trust/server-certificate.ts';
import type { HistoryFlags } from './history-bounds.ts';
import type { NotificationFlags } from './notification-options.ts';
import type { RegistryFlags } from './registry-options.ts';

/** How the coordinator is reached, as given. */
export interface ListenFlags {
  readonly tls?: boolean | undefined;
  readonly tlsName?: readonly string[] | undefined;
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
  readonly clientCa?: string | undefined;
  readonly insecureListen?: boolean | undefined;
}

export interface ServeOptions extends RegistryFlags, HistoryFlags, ListenFlags, NotificationFlags {
  readonly listen: ListenAddress;
  /** Directory of the coordinator's state; undefined means the usual place. */
  readonly data?: string | undefined;
  /** Size and age of the contexts that are kept, as given. */
  readonly contextStore?: string | undefined;
  /** `NAME=VALUE` each. */
  readonly contextLimit?: readonly string[] | undefined;
  /** Whether agents without a certificate may come although others have joined. */
  readonly tokenAgents?: boolean | undefined;
  readonly maxQueued?: string | undefined;
  readonly stallLimit?: string | undefined;
  /** Whether an agent may be given a password, for a registry that takes nothing else. */
  readonly passwordsToAgents: boolean;
}

export interface ListenAddress {
  readonly host: string;
  /** 0 is any free port. */
  readonly port: number;
}

/** Undefined where nothing is given; throws `usage`. */
export function readMaxQueued(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new ArchfarmError('usage', `--max-queued ${JSON.stringify(text)} is not a number of builds`, {
    hint: 'write a whole number from 1 to 999999',
  });
}

/** With the stall limit that is given, if one is; throws `usage`. */
export function readTimers(stallLimit: string | undefined, env: NodeJS.ProcessEnv): Timers {
  const timers = timersFrom(env);
  if (stallLimit === undefined) return timers;
  const stall = parseDuration(stallLimit, '--stall-limit');
  if (stall > 0) return { ...timers, stall };
  throw new ArchfarmError('usage', '--stall-limit must be longer than nothing');
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

/** Undefined for plain http. Throws `usage` for flags that do not go together. */
export function readTlsSource(flags: ListenFlags): TlsSource | undefined {
  const source = serverSource(flags);
  if (source !== undefined || flags.clientCa === undefined) return source;
  throw new ArchfarmError('usage', '--client-ca is for a coordinator that speaks TLS', {
    hint: 'add --tls, or --tls-cert and --tls-key',
  });
}

function serverSource({ tls, tlsName = [], tlsCert, tlsKey }: ListenFlags): TlsSource | undefined {
  if (tlsCert === undefined && tlsKey === undefined) {
    if (tls === true) return { type: 'own', names: tlsName };
    if (tlsName.length === 0) return undefined;
    throw new ArchfarmError('usage', '--tls-name names a certificate that only --tls makes', {
      hint: 'add --tls',
    });
  }
  if (tlsCert === undefined || tlsKey === undefined) {
    const missing = tlsCert === undefined ? '--tls-cert' : '--tls-key';
    throw new ArchfarmError('usage', `${missing} is missing`, { hint: 'a certificate goes with its key' });
  }
  if (tls === true || tlsName.length > 0) {
    throw new ArchfarmError('usage', '--tls makes a certificate, and --tls-cert brings one', {
      hint: 'leave one of the two out; a certificate that is brought has its names already',
    });
  }
  return { type: 'files', certificate: tlsCert, key: tlsKey };
}

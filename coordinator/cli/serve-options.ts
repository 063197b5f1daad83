/** The flags of `archfarm serve`. */
import { ArchfarmError } from '../../shared/errors.ts';
import { timersFrom, type Timers } from '../../shared/timers.ts';
import { parseDuration } from '../duration.ts';
import type { HistoryFlags } from './history-bounds.ts';
import type { RegistryFlags } from './registry-options.ts';

export interface ServeOptions extends RegistryFlags, HistoryFlags {
  readonly listen: ListenAddress;
  /** Directory of the coordinator's state; undefined means the usual place. */
  readonly data?: string | undefined;
  /** Size and age of the contexts that are kept, as given. */
  readonly contextStore?: string | undefined;
  /** `NAME=VALUE` each. */
  readonly contextLimit?: readonly string[] | undefined;
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

/** Who may come in, and what is kept of them: users, agents, certificates and the audit of a coordinator. */
import { isLoopback } from '../../shared/address.ts';
import type { Cleanup } from '../../shared/cleanup.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { Timers } from '../../shared/timers.ts';
import type { Store } from '../store/store.ts';
import { Audit } from '../trust/audit.ts';
import { HeadFile } from '../trust/audit-head.ts';
import { Identities } from '../trust/identities.ts';
import { openPortTls, type PortTls } from '../trust/port-tls.ts';
import { Refusals } from '../trust/refusals.ts';
import { wordsOf, type Alarm } from '../trust/security-event.ts';
import type { TlsSource } from '../trust/server-certificate.ts';
import { Users } from '../trust/users.ts';

export interface TrustOptions {
  readonly listen: { readonly host: string };
  /** That all share; undefined where there is none. */
  readonly token: string | undefined;
  /** Undefined for plain http. */
  readonly tls?: TlsSource | undefined;
  /** File of the authority whose certificates agents have; our own where undefined. */
  readonly clientCa?: string | undefined;
  /** Plain http where others than this machine can listen. */
  readonly insecureListen?: boolean;
  /** Of the coordinator's state. */
  readonly data: string;
  /** Whether the audit survives this process. */
  readonly durable: boolean;
  readonly timers: Timers;
  readonly log: Logger;
}

export interface TrustHandlers {
  /** An agent has joined by certificate. */
  readonly joined: () => void;
}

export interface Trust {
  readonly users: Users;
  /** Undefined for plain http. */
  readonly tls: PortTls | undefined;
  readonly audit: Audit;
  readonly refusals: Refusals;
  readonly identities: Identities;
  readonly alarm: Alarm;
}

/** Throws `config` where anybody could come in, and for certificates that cannot be used. */
export async function openTrust(
  options: TrustOptions & TrustHandlers,
  store: Store,
  cleanup: Cleanup,
): Promise<Trust> {
  const { listen, token, clientCa, data, durable, timers, log } = options;
  const users = new Users(store.users);
  if (token === undefined && users.size === 0 && !isLoopback(listen.host)) {
    throw new ArchfarmError('config', `refusing to listen on ${listen.host} without a token`, {
      hint: 'set ARCHFARM_TOKEN or --token-file, or first add users on this machine: archfarm users add',
    });
  }
  if (token === undefined && users.size > 0 && isLoopback(listen.host)) {
    log.warn(
      { host: listen.host },
      'takes everybody on this machine for an admin, and whomever a proxy here lets through; --token-file ends that',
    );
  }
  if (options.tls === undefined && !isLoopback(listen.host)) admitPlain(options);
  const isUnused = (await store.agents()).every(({ certificates }) => certificates.length === 0);
  const tls = options.tls && (await openPortTls(options.tls, { clientCa, data, isUnused, log }));
  tls?.listIssuers(users.certificates);
  const audit = Audit.open({ table: store.audit, headFile: durable ? new HeadFile(data) : undefined, log });
  cleanup.defer(() => audit.close());
  const refusals = new Refusals(audit);
  cleanup.defer(() => refusals.close());
  const alarm: Alarm = ({ type, agent, from }) => {
    log.warn({ event: type, agent, from }, 'somebody should look at this');
    refusals.note({ action: 'security', kind: type, agent, from, what: wordsOf[type] });
  };
  const identities = await Identities.open({
    store,
    authority: tls?.signer,
    lifetime: timers.certificate,
    ticketLifetime: timers.joinToken,
    now: Date.now,
    alarm,
    joined: options.joined,
  });
  return { users, tls, audit, refusals, identities, alarm };
}

/** Throws `config` unless somebody wants it so. */
function admitPlain({ listen, insecureListen = false, log }: TrustOptions): void {
  if (!insecureListen) {
    throw new ArchfarmError('config', `refusing to listen on ${listen.host} without TLS`, {
      hint: 'add --tls, or --tls-cert and --tls-key; behind a proxy that speaks TLS: --insecure-listen',
    });
  }
  log.warn(
    { host: listen.host },
    'listens without TLS: the token, contexts and secrets can be read on the network; --tls protects them',
  );
}

/**
 * The agents that may join by certificate, and those that have: who gets a certificate, and whom one makes known. What
 * counts is what is written here; a certificate that is not is worth nothing, whoever signed it.
 */
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { ArchfarmError } from '../../shared/errors.ts';
import { hasJoined, newRecord, type AgentRecord, type IssuedCertificate } from './agent-record.ts';
import type { Authority } from './authority.ts';
import type { JoinedAgent } from './principal.ts';
import { renewed, requireDue } from './renewal.ts';
import type { Alarm } from './security-event.ts';

/** Where records outlive the process; each is on disk when `keepAgent` resolves. */
export interface RecordStore {
  agents(): Promise<readonly AgentRecord[]>;
  keepAgent(record: AgentRecord): Promise<void>;
}

export interface IdentitiesOptions {
  readonly store: RecordStore;
  /** Signs certificates; undefined where another authority's are accepted. */
  readonly authority: Pick<Authority, 'signAgent'> | undefined;
  /** Milliseconds. */
  readonly lifetime: number;
  /** Milliseconds that a token to join with is good for. */
  readonly ticketLifetime: number;
  readonly now: () => number;
  readonly alarm: Alarm;
  /** A certificate of an agent counts from now on. */
  readonly joined: () => void;
}

export interface Limits {
  readonly platforms: readonly string[];
  readonly repositories: readonly string[];
}

export interface JoinRequest {
  readonly secret: string;
  /** PEM. */
  readonly request: string;
  /** Address. */
  readonly from: string;
}

export interface NewIdentity extends Limits {
  readonly name: string;
  /** PEM. */
  readonly certificate: string;
}

/** Hashes of used tokens that are remembered of one agent. */
const maxUsedTickets = 20;

export class Identities {
  readonly #options: IdentitiesOptions;
  readonly #records = new Map<string, AgentRecord>();
  /** Names by what is unique to them. */
  readonly #tickets = new Map<string, string>();
  readonly #used = new Map<string, string>();
  /** Tickets of those who are getting their certificate. */
  readonly #claimed = new Set<string>();

  private constructor(options: IdentitiesOptions) {
    this.#options = options;
  }

  static async open(options: IdentitiesOptions): Promise<Identities> {
    const identities = new Identities(options);
    for (const record of await options.store.agents()) identities.#take(record);
    return identities;
  }

  /** Whether some agent has joined, so that the others are to do so too. */
  get anyJoined(): boolean {
    return [...this.#records.values()].some(hasJoined);
  }

  /** Those that have joined and were not removed, and what each is held to. */
  get joined(): (Limits & { readonly name: string })[] {
    return [...this.#records.values()].filter(hasJoined);
  }

  /** Names of those that were removed. */
  get removed(): string[] {
    return [...this.#records.values()].flatMap(({ name, removedAt }) =>
      removedAt === undefined ? [] : [name],
    );
  }

  /** Whether the name belongs to one that has joined, or was removed: nobody else comes in under it. */
  isTaken(name: string): boolean {
    const record = this.#records.get(name);
    return record !== undefined && (record.removedAt !== undefined || hasJoined(record));
  }

  /** What an agent is held to; nothing for one that is not known here. */
  limitsOf(name: string): Limits {
    return this.#records.get(name) ?? newRecord(name);
  }

  /** Whether some agent has the certificate with this sha256 (hexadecimal), or had it taken away. */
  hasCertificate(fingerprint: string): boolean {
    return [...this.#records.values()].some(({ certificates }) =>
      certificates.some((known) => known.fingerprint === fingerprint),
    );
  }

  /** Names of those that are known here and were not removed. */
  names(): string[] {
    return [...this.#records.values()].flatMap(({ name, removedAt }) =>
      removedAt === undefined ? [name] : [],
    );
  }

  /**
   * Lets a host join under this name once. Gives the secret that it is to show; undefined where it needs a certificate of
   * another authority instead. Throws `usage` for a name that has joined.
   */
  async add(name: string, limits: Limits): Promise<{ secret: string; expiresAt: number } | undefined> {
    const { authority, ticketLifetime, now } = this.#options;
    const known = this.#records.get(name);
    if (authority !== undefined && known !== undefined && hasJoined(known)) {
      throw new ArchfarmError('usage', `agent ${name} has joined already`, {
        hint: `archfarm agents rm ${name} lets go of it; then another host can join under that name`,
      });
    }
    const { removedAt: _gone, ticket: _old, ...rest } = known ?? newRecord(name);
    const record = { ...rest, ...limits };
    if (authority === undefined) {
      await this.#keep(record);
      return undefined;
    }
    const secret = randomBytes(24).toString('base64url');
    const expiresAt = now() + ticketLifetime;
    await this.#keep({ ...record, ticket: { hash: hashOf(secret), expiresAt } });
    return { secret, expiresAt };
  }

  /**
   * A certificate for the key of a signing request (PEM), once for each secret. Throws `unauthorized`; `usage` for a bad
   * request, which leaves the secret as it was.
   */
  async join({ secret, request, from }: JoinRequest): Promise<NewIdentity> {
    const hash = hashOf(secret);
    const { name } = this.#requireTicket(hash, from);
    // Nothing is waited for in between: of many at once the first gets it.
    this.#claimed.add(hash);
    try {
      const { certificate, issued } = await this.#sign(name, request);
      const record = this.#records.get(name);
      // Somebody may have removed the agent, or made it another token meanwhile.
      if (record?.ticket?.hash !== hash) throw removed(name);
      const { ticket: _used, ...rest } = record;
      await this.#keep({
        ...rest,
        usedTickets: [...record.usedTickets, hash].slice(-maxUsedTickets),
        certificates: [...this.#valid(record.certificates), issued],
      });
      this.#options.joined();
      const { platforms, repositories } = record;
      return { name, platforms, repositories, certificate };
    } finally {
      this.#claimed.delete(hash);
    }
  }

  /**
   * The same for an agent that has joined, once half of the life of the certificate that it shows is over. Throws `usage`
   * before, and for a bad request.
   */
  async renew(agent: JoinedAgent, request: string): Promise<NewIdentity> {
    const { name, fingerprint } = agent;
    requireDue(agent, this.#records.get(name)?.certificates ?? [], this.#options);
    const { certificate, issued } = await this.#sign(name, request);
    const record = this.#records.get(name);
    const shown = record?.certificates.find((known) => known.fingerprint === fingerprint);
    // Another host may have joined under the name of one that was removed meanwhile.
    if (record === undefined || !hasJoined(record) || shown?.revoked === true) throw removed(name);
    const certificates = renewed(this.#valid(record.certificates), { fingerprint, issued });
    await this.#keep({ ...record, certificates });
    return { ...this.limitsOf(name), name, certificate };
  }

  /**
   * Whom a certificate makes known that TLS has found to be signed by the right authority. Throws `agent-removed`, and
   * `unauthorized` for one that does not count.
   */
  identify(certificate: X509Certificate): JoinedAgent {
    const { authority, now } = this.#options;
    const name = commonName(certificate);
    const fingerprint = fingerprintOf(certificate);
    const record = this.#records.get(name);
    const issued = record?.certificates.find((known) => known.fingerprint === fingerprint);
    if (record?.removedAt !== undefined || issued?.revoked === true) throw removed(name);
    // Looked at here too: TLS takes up earlier connections without another look.
    if (now() > Date.parse(certificate.validTo)) throw expired(certificate);
    if (issued === undefined && authority !== undefined) {
      throw new ArchfarmError(
        'unauthorized',
        `the certificate of agent ${name} is not known to this coordinator`,
        {
          hint: 'let the host join again: archfarm agents add',
        },
      );
    }
    const { repositories } = record ?? newRecord(name);
    return { type: 'agent', name, repositories, fingerprint };
  }

  /** Remembers a certificate of another authority, so that its name belongs to whoever has it. */
  meet({ name, fingerprint }: JoinedAgent, certificate: X509Certificate): void {
    const record = this.#records.get(name) ?? newRecord(name);
    if (record.certificates.some((known) => known.fingerprint === fingerprint)) return;
    const issued = { fingerprint, expiresAt: Date.parse(certificate.validTo) };
    const kept = this.#keep({ ...record, certificates: [...this.#valid(record.certificates), issued] });
    // It is met again with the next connection.
    kept.then(this.#options.joined, () => {});
  }

  /** From now on nobody comes in under this name; on disk when it resolves. False for one that is not known here. */
  async remove(name: string): Promise<boolean> {
    const record = this.#records.get(name);
    if (record === undefined) return false;
    const { ticket: _unused, ...rest } = record;
    const certificates = record.certificates.map((issued) => ({ ...issued, revoked: true as const }));
    await this.#keep({ ...rest, certificates, removedAt: this.#options.now() });
    return true;
  }

  #requireTicket(hash: string, from: string): AgentRecord {
    const record = this.#records.get(this.#tickets.get(hash) ?? '');
    const user = this.#used.get(hash) ?? (this.#claimed.has(hash) ? record?.name : undefined);
    if (user !== undefined) {
      this.#options.alarm({ type: 'join-token-reused', agent: user, from });
      throw new ArchfarmError('unauthorized', 'the token to join with has been used already', {
        hint: `if this host did not use it, somebody else did: archfarm agents rm ${user}`,
      });
    }
    if (record?.ticket !== undefined && this.#options.now() <= record.ticket.expiresAt) return record;
    const what =
      record === undefined
        ? 'the coordinator knows no such token to join with'
        : 'the token to join with has expired';
    const hint = 'archfarm agents add NAME makes another one, which is good for an hour';
    throw new ArchfarmError('unauthorized', what, { hint });
  }

  async #sign(
    name: string,
    request: string,
  ): Promise<{ readonly certificate: string; readonly issued: IssuedCertificate }> {
    const { authority, now, lifetime } = this.#options;
    if (authority === undefined) {
      throw new ArchfarmError(
        'usage',
        'this coordinator takes certificates of another authority, and makes none',
        {
          hint: 'give the host one with --cert and --key: the common name is that of the agent',
        },
      );
    }
    const certificate = await authority.signAgent(request, { name, now: now(), lifetime });
    const parsed = new X509Certificate(certificate);
    return {
      certificate,
      issued: {
        fingerprint: fingerprintOf(parsed),
        issuedAt: now(),
        expiresAt: Date.parse(parsed.validTo),
      },
    };
  }

  /** In memory at once, so that whoever comes next sees it; taken back where the disk does not take it. */
  async #keep(record: AgentRecord): Promise<void> {
    const before = this.#records.get(record.name);
    this.#take(record);
    try {
      await this.#options.store.keepAgent(record);
    } catch (thrown) {
      // Somebody may have kept another one meanwhile, and that is on disk.
      if (this.#records.get(record.name) === record) {
        this.#take(before ?? newRecord(record.name));
        if (before === undefined) this.#records.delete(record.name);
      }
      throw thrown;
    }
  }

  #take(record: AgentRecord): void {
    const before = this.#records.get(record.name);
    if (before?.ticket !== undefined) this.#tickets.delete(before.ticket.hash);
    for (const hash of before?.usedTickets ?? []) this.#used.delete(hash);
    this.#records.set(record.name, record);
    if (record.ticket !== undefined) this.#tickets.set(record.ticket.hash, record.name);
    for (const hash of record.usedTickets) this.#used.set(hash, record.name);
  }

  #valid(certificates: readonly IssuedCertificate[]): IssuedCertificate[] {
    const now = this.#options.now();
    return certificates.filter(({ expiresAt }) => expiresAt > now);
  }
}

/** Of what an agent shows. */
export function commonName({ subject }: X509Certificate): string {
  return /^CN=(.*)$/m.exec(subject)?.[1] ?? '';
}

export function fingerprintOf({ raw }: X509Certificate): string {
  return createHash('sha256').update(raw).digest('hex');
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

function removed(name: string): ArchfarmError {
  return new ArchfarmError('agent-removed', `agent ${name} was removed from this farm`, {
    hint: `archfarm agents add ${name} lets a host join under that name again`,
  });
}

function expired({ validTo }: X509Certificate): ArchfarmError {
  return new ArchfarmError('unauthorized', `the agent's certificate has expired on ${validTo}`, {
    hint: 'let the host join again: archfarm agents rm, then archfarm agents add; is its clock right?',
  });
}

/** Refused requests, and what nobody honest does, in the audit: the first at once, more of the same from the same place together, once a minute. */
import type { Audit, AuditEvent } from './audit.ts';

type Row = Pick<AuditEvent, 'who' | 'from' | 'agent' | 'what'> & {
  readonly action: Extract<AuditEvent['action'], 'login-refused' | 'forbidden' | 'security'>;
};

export interface Refusal extends Row {
  /** What the like have in common: a verb, for one. Not how it is worded, for that may quote whoever is refused. */
  readonly kind: string | undefined;
}

/** Those of one kind. */
interface Like {
  readonly refusal: Refusal;
  /** How often since the row of the first one. */
  count: number;
  /** Not all of them were worded as the first one. */
  varied: boolean;
}

/** Milliseconds. */
const usualInterval = 60_000;
/**
 * Beyond so many kinds in an interval, all that come of somebody are one row: whoever floods us must not push the rest out
 * of the audit within days.
 */
const maxKinds = 100;
/** Of them by one user, or from one address of somebody unknown. */
const maxKindsOfOne = 20;

export class Refusals {
  readonly #audit: Pick<Audit, 'record'>;
  readonly #interval: number;
  readonly #likes = new Map<string, Like>();
  /** By whose they are. */
  readonly #kinds = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(audit: Pick<Audit, 'record'>, interval = usualInterval) {
    this.#audit = audit;
    this.#interval = interval;
  }

  note(given: Refusal): void {
    const refusal = this.#likes.has(keyOf(given)) ? given : this.#placed(given);
    const key = keyOf(refusal);
    const known = this.#likes.get(key);
    if (known !== undefined) {
      known.count += 1;
      known.varied ||= refusal.what !== known.refusal.what;
      return;
    }
    this.#likes.set(key, { refusal, count: 0, varied: false });
    const source = sourceOf(refusal);
    this.#kinds.set(source, (this.#kinds.get(source) ?? 0) + 1);
    this.#timer ??= setTimeout(() => this.#tell(), this.#interval).unref();
    void this.#audit.record(rowOf(refusal));
  }

  /** Tells what was counted so far. */
  close(): void {
    clearTimeout(this.#timer);
    this.#tell();
  }

  /** Of a new kind: as it is, or among the rest where there are too many. */
  #placed(given: Refusal): Refusal {
    const { action, who, from } = given;
    const rest = { action, who, kind: 'rest', what: 'more, of other kinds or from other places' };
    const kinds = this.#kinds.get(sourceOf(given)) ?? 0;
    if (kinds >= maxKindsOfOne) return { ...rest, from: who === undefined ? from : undefined };
    return this.#likes.size >= maxKinds ? rest : given;
  }

  #tell(): void {
    this.#timer = undefined;
    for (const { refusal, count, varied } of this.#likes.values()) {
      const { what = '' } = refusal;
      const row = varied ? { ...rowOf(refusal), what: `${what}, or the like` } : rowOf(refusal);
      if (count > 0) void this.#audit.record({ ...row, count });
    }
    this.#likes.clear();
    this.#kinds.clear();
  }
}

function rowOf({ action, who, from, agent, what }: Refusal): Row {
  return { action, who, from, agent, what };
}

function sourceOf({ who, from }: Refusal): string {
  return JSON.stringify(who === undefined ? [from] : { who });
}

function keyOf({ action, who, from, agent, kind }: Refusal): string {
  return JSON.stringify([action, who, from, agent, kind]);
}

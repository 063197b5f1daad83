/** Refused requests, and what nobody honest does, in the audit: the first at once, more of the same from the same place together, once a minute. */
import type { Audit, AuditEvent } from './audit.ts';

export type Refusal = Pick<AuditEvent, 'who' | 'from' | 'agent' | 'what'> & {
  readonly action: Extract<AuditEvent['action'], 'login-refused' | 'forbidden' | 'security'>;
};

/** Milliseconds. */
const usualInterval = 60_000;
/** Beyond so many different ones in an interval, all that come are one row: whoever floods us must not fill the disk. */
const maxKinds = 1000;

export class Refusals {
  readonly #audit: Pick<Audit, 'record'>;
  readonly #interval: number;
  /** How often since the row of the first one. */
  readonly #more = new Map<string, { readonly refusal: Refusal; count: number }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(audit: Pick<Audit, 'record'>, interval = usualInterval) {
    this.#audit = audit;
    this.#interval = interval;
  }

  note(given: Refusal): void {
    const isNew = this.#more.size < maxKinds;
    const refusal: Refusal =
      isNew || this.#more.has(keyOf(given)) ? given : { action: given.action, what: 'from many places' };
    const known = this.#more.get(keyOf(refusal));
    if (known !== undefined) {
      known.count += 1;
      return;
    }
    this.#more.set(keyOf(refusal), { refusal, count: 0 });
    this.#timer ??= setTimeout(() => this.#tell(), this.#interval).unref();
    void this.#audit.record(refusal);
  }

  /** Tells what was counted so far. */
  close(): void {
    clearTimeout(this.#timer);
    this.#tell();
  }

  #tell(): void {
    this.#timer = undefined;
    for (const { refusal, count } of this.#more.values()) {
      if (count > 0) void this.#audit.record({ ...refusal, count });
    }
    this.#more.clear();
  }
}

function keyOf({ action, who, from, agent, what }: Refusal): string {
  return JSON.stringify([action, who, from, agent, what]);
}

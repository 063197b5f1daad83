/**
 * How rows of the audit hang together: each says the hash of the one before it, so that whoever changes, removes or
 * moves a row has to change all rows after it, and with them the last hash, which is kept apart.
 */
import { createHash } from 'node:crypto';
import type { AuditRow } from '../store/audit-table.ts';

/** A row as it is noted apart from the rows. */
export interface AuditHead {
  readonly number: number;
  readonly hash: string;
}

export interface AuditVerdict {
  readonly rows: number;
  /** What to note elsewhere: a later audit without it was rewritten. Undefined where there are no rows. */
  readonly head: AuditHead | undefined;
  /** What is wrong, in the order of the rows; empty for an audit that is whole. At most 100. */
  readonly faults: readonly string[];
}

/** What the first row hangs on. */
export const origin: AuditHead = { number: 0, hash: '0'.repeat(64) };

/** One removed row is enough to know: a list of all is of no use. */
const maxFaults = 100;

export function hashOf(entry: string): string {
  return createHash('sha256').update(entry).digest('hex');
}

export class ChainCheck {
  readonly #noted: readonly AuditHead[];
  readonly #faults: string[] = [];
  #rows = 0;
  #previous: AuditHead | undefined;
  /** The row that the first one hangs on, until a row says that it was dropped with those before it. */
  #dropped: AuditHead | undefined;

  /** `noted` are rows that must be there: the head that is kept apart, and what somebody wrote down earlier; it may grow. */
  constructor(noted: readonly AuditHead[]) {
    this.#noted = noted;
  }

  /** In the order of their numbers. */
  take({ number, time, entry, hash }: AuditRow): void {
    const said = readEntry(entry);
    const previous = this.#previous ?? this.#begin(number, said.previous);
    if (hashOf(entry) !== hash) this.#fault(`row ${number} was altered`);
    if (said.number !== number || said.time !== time) this.#fault(`row ${number} was altered or moved`);
    if (number !== previous.number + 1) {
      this.#fault(`row ${previous.number + 1} is not where it was: ${number} follows ${previous.number}`);
    } else if (said.previous !== previous.hash) {
      this.#fault(`row ${number} does not follow row ${previous.number} as that is now: one was altered`);
    }
    if (this.#noted.some((head) => head.number === number && head.hash !== hash))
      this.#fault(`row ${number} is not the one that was noted: what leads to it was written anew`);
    if (said.dropped?.number === this.#dropped?.number && said.dropped?.hash === this.#dropped?.hash)
      this.#dropped = undefined;
    this.#previous = { number, hash };
    this.#rows += 1;
  }

  verdict(): AuditVerdict {
    const last = this.#previous?.number ?? 0;
    const furthest = Math.max(...this.#noted.map((head) => head.number), 0);
    if (furthest > last) this.#fault(`the rows from ${last + 1} to ${furthest} are missing at the end`);
    if (this.#dropped !== undefined)
      this.#fault(`the rows up to ${this.#dropped.number} are missing, and none says that they were dropped`);
    return { rows: this.#rows, head: this.#previous, faults: this.#faults };
  }

  #begin(number: number, previous: string): AuditHead {
    if (number === 1) return origin;
    return (this.#dropped = { number: number - 1, hash: previous });
  }

  #fault(text: string): void {
    if (this.#faults.length < maxFaults) this.#faults.push(text);
  }
}

interface Said {
  readonly number?: unknown;
  readonly time?: unknown;
  readonly previous: string;
  readonly dropped?: AuditHead | undefined;
}

/** What of an entry the chain is made of; what is no entry says nothing that fits. */
function readEntry(entry: string): Said {
  try {
    const { number, time, previous, dropped }: Record<string, unknown> = JSON.parse(entry);
    return { number, time, previous: String(previous), dropped: headOf(dropped) };
  } catch {
    return { previous: '' };
  }
}

function headOf(value: unknown): AuditHead | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  return { number: Number(Reflect.get(value, 'number')), hash: String(Reflect.get(value, 'hash')) };
}

/**
 * Who did what, from where, to which build, tag, digest or agent: rows that are only ever added. Nothing secret is in
 * them. The head is kept in a file beside the database, so that a cut end shows too.
 */
import type { Logger } from '../../shared/log.ts';
import type { AuditQuery, AuditRow, AuditTable } from '../store/audit-table.ts';
import { hashOf, origin, type AuditHead } from './audit-chain.ts';
import type { HeadFile } from './audit-head.ts';
import { nameOf, type Visitor } from './principal.ts';

export type AuditAction =
  | 'login-refused'
  | 'forbidden'
  | 'submit'
  | 'retry'
  | 'amend'
  | 'cancel'
  /** Ids alone. */
  | 'supply-secrets'
  /** What is run on an agent, of any image; whether with a command, and never which. */
  | 'verify'
  | 'publish'
  | 'drain-agent'
  | 'resume-agent'
  | 'remove-agent'
  | 'add-agent'
  | 'join'
  | 'renew-certificate'
  | 'add-user'
  | 'remove-user'
  /** Something that nobody should try. */
  | 'security'
  | 'drop-rows';

export interface AuditEvent {
  readonly action: AuditAction;
  /** As `nameOf` calls it; undefined for somebody unknown. */
  readonly who?: string | undefined;
  /** Address. */
  readonly from?: string | undefined;
  readonly build?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly digest?: string | undefined;
  readonly agent?: string | undefined;
  readonly user?: string | undefined;
  /** In words, without anything secret. */
  readonly what?: string | undefined;
  /** How often, where it is more than once. */
  readonly count?: number | undefined;
  /** The last of the rows that were dropped for their number. */
  readonly dropped?: AuditHead | undefined;
}

/** An event in its row. */
export interface AuditEntry extends AuditEvent {
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Hash of the row before. */
  readonly previous: string;
}

export interface AuditOptions {
  readonly table: AuditTable;
  /** Undefined for rows that do not outlive this process. */
  readonly headFile: HeadFile | undefined;
  readonly log: Logger;
  /** Rows that are kept, where not as usual: beyond, the oldest tenth is dropped, and a row says so. */
  readonly maxRows?: number;
}

const defaultMaxRows = 1_000_000;
/** Characters of what a row says in words. */
const maxWords = 1000;

export class Audit {
  readonly #options: AuditOptions;
  readonly #maxRows: number;
  #head: AuditHead;
  #size: number;
  #waiting: { readonly event: AuditEvent; readonly time: number }[] = [];
  #writing: Promise<void> | undefined;

  /** Where the rows do not hold the head that was kept, the next one says so, and the gap in front of it shows for ever. */
  static open(options: AuditOptions): Audit {
    const { table, headFile, log } = options;
    const last = table.last() ?? origin;
    const trouble = headFile && troubleWith(headFile.read(), table);
    if (trouble === undefined) return new Audit(options, last);
    const { what, number } = trouble;
    log.error({ rows: last.number }, what);
    const audit = new Audit(options, { number: Math.max(last.number, number), hash: last.hash });
    void audit.record({ action: 'security', what });
    return audit;
  }

  private constructor(options: AuditOptions, { number, hash }: AuditHead) {
    this.#options = options;
    this.#maxRows = options.maxRows ?? defaultMaxRows;
    this.#head = { number, hash };
    this.#size = options.table.size();
  }

  /** The last row. */
  get head(): AuditHead {
    return this.#head;
  }

  /**
   * Resolves when the row is on disk. Never rejects: what could not be written is in the log of the process, and nothing
   * that is under way stops for it.
   */
  record(event: AuditEvent): Promise<void> {
    this.#waiting.push({ event, time: Date.now() });
    // What comes in the same turn of the event loop shares one transaction.
    this.#writing ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.#write());
    return this.#writing;
  }

  /** What somebody did. */
  note(visitor: Visitor, event: Omit<AuditEvent, 'who' | 'from'>): Promise<void> {
    return this.record({ who: nameOf(visitor.principal), from: visitor.from, ...event });
  }

  rows(query: AuditQuery): readonly AuditRow[] {
    return this.#options.table.rows(query);
  }

  /** To be called before the store is closed. */
  async close(): Promise<void> {
    await this.#writing;
  }

  #write(): void {
    this.#writing = undefined;
    const { table, headFile, log } = this.#options;
    const events = this.#waiting;
    this.#waiting = [];
    const dropped = this.#size > this.#maxRows ? this.#oldest() : undefined;
    if (dropped !== undefined) events.push({ event: { action: 'drop-rows', dropped }, time: Date.now() });
    const rows: AuditRow[] = [];
    let head = this.#head;
    for (const { event, time } of events) {
      const row = rowAfter(head, event, time);
      rows.push(row);
      head = { number: row.number, hash: row.hash };
    }
    try {
      table.append(rows);
      this.#head = head;
      this.#size += rows.length;
      headFile?.write(head);
      if (dropped !== undefined) table.dropTo(dropped.number);
      if (dropped !== undefined) this.#size = table.size();
    } catch (error) {
      log.error({ err: error, events: events.map(({ event }) => event) }, 'the audit could not be written');
    }
  }

  /** The last of those that are too many, and a tenth more. */
  #oldest(): AuditHead | undefined {
    const number = this.#head.number - Math.ceil(this.#maxRows * 0.9);
    const [row] = this.#options.table.rows({ after: number - 1, since: 0, limit: 1 });
    return row && { number: row.number, hash: row.hash };
  }
}

/** Undefined where the head that was kept is there, or nothing was ever written. */
function troubleWith(
  kept: AuditHead | undefined,
  table: AuditTable,
): { readonly what: string; readonly number: number } | undefined {
  if (kept === undefined) {
    if (table.last() === undefined) return undefined;
    return { what: 'the file that keeps the last row of the audit is gone or was altered', number: 0 };
  }
  const [row] = table.rows({ after: kept.number - 1, since: 0, limit: 1 });
  if (row?.number === kept.number && row.hash === kept.hash) return undefined;
  return {
    what: `row ${kept.number} of the audit, which was its last, is gone or was altered`,
    number: kept.number,
  };
}

function rowAfter(head: AuditHead, event: AuditEvent, time: number): AuditRow {
  const { what, ...rest } = event;
  const number = head.number + 1;
  const said: AuditEntry = {
    number,
    time,
    previous: head.hash,
    ...rest,
    ...(what && { what: what.slice(0, maxWords) }),
  };
  const entry = JSON.stringify(said);
  return { number, time, entry, hash: hashOf(entry) };
}

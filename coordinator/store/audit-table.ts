/** The rows of the audit as they lie in the store. What they say, and how they hang together, is the audit's own. */
import { numberOf, textOf } from './row.ts';
import type { Sql } from './sql.ts';

export interface AuditRow {
  /** From 1 on, without gaps. */
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** JSON. */
  readonly entry: string;
  /** sha256 of the entry, hexadecimal. */
  readonly hash: string;
}

export interface AuditQuery {
  /** Number of the last row that is not wanted. */
  readonly after: number;
  /** Only rows of this time and later. */
  readonly since: number;
  readonly limit: number;
}

export interface AuditTable {
  /** All or none; on disk when it returns. */
  append(rows: readonly AuditRow[]): void;
  /** In order. */
  rows(query: AuditQuery): AuditRow[];
  last(): AuditRow | undefined;
  /** How many there are. */
  size(): number;
  /** Drops the rows up to this one. */
  dropTo(number: number): void;
}

export class SqliteAuditTable implements AuditTable {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  append(rows: readonly AuditRow[]): void {
    this.#sql.transaction(() => {
      for (const { number, time, entry, hash } of rows) {
        this.#sql
          .prepared('INSERT INTO audit (number, time, entry, hash) VALUES (?, ?, ?, ?)')
          .run(number, time, entry, hash);
      }
    });
  }

  rows({ after, since, limit }: AuditQuery): AuditRow[] {
    return this.#sql
      .prepared('SELECT * FROM audit WHERE number > ? AND time >= ? ORDER BY number LIMIT ?')
      .all(after, since, limit)
      .map(rowOf);
  }

  last(): AuditRow | undefined {
    const row = this.#sql.prepared('SELECT * FROM audit ORDER BY number DESC LIMIT 1').get();
    return row === undefined ? undefined : rowOf(row);
  }

  size(): number {
    return numberOf(this.#sql.prepared('SELECT count(*) AS size FROM audit').get(), 'size');
  }

  dropTo(number: number): void {
    this.#sql.transaction(() => this.#sql.prepared('DELETE FROM audit WHERE number <= ?').run(number));
  }
}

export class MemoryAuditTable implements AuditTable {
  #rows: AuditRow[] = [];

  append(rows: readonly AuditRow[]): void {
    this.#rows.push(...rows);
  }

  rows({ after, since, limit }: AuditQuery): AuditRow[] {
    return this.#rows.filter(({ number, time }) => number > after && time >= since).slice(0, limit);
  }

  last(): AuditRow | undefined {
    return this.#rows.at(-1);
  }

  size(): number {
    return this.#rows.length;
  }

  dropTo(number: number): void {
    this.#rows = this.#rows.filter((row) => row.number > number);
  }
}

function rowOf(row: unknown): AuditRow {
  return {
    number: numberOf(row, 'number'),
    time: numberOf(row, 'time'),
    entry: textOf(row, 'entry'),
    hash: textOf(row, 'hash'),
  };
}

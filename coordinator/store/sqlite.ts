/**
 * The durable store: one SQLite file in the data directory. A row is JSON, so that events can grow fields
 * without a migration; what is searched for has a column. One process at a time has the directory.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ArchfarmError } from '../../shared/errors.ts';
import type { BuildResult } from '../../shared/progress.ts';
import type { DurableEvent, Remains } from '../farm/events.ts';
import type { Drain } from '../farm/standing.ts';
import { tagKey } from '../registry/spelling.ts';
import type { AgentRecord } from '../trust/agent-record.ts';
import { openDatabase } from './database.ts';
import { SqliteAuditTable, type AuditTable } from './audit-table.ts';
import type { Database, Driver } from './database.ts';
import { numberOf, textOf } from './row.ts';
import { prepareSchema } from './schema.ts';
import { Sql } from './sql.ts';
import { SqliteUserTable, type UserTable } from './user-table.ts';
import { buildOf } from './store.ts';
import type { Ended, Expiry, ListOptions, Saved, Store } from './store.ts';

export interface OpenOptions {
  /** For tests: this driver and no other. */
  readonly driver?: Driver;
}

export class SqliteStore implements Store {
  readonly audit: AuditTable;
  readonly users: UserTable;
  readonly #sql: Sql;
  readonly #lock: Database;

  /** Fails with `config` when another coordinator has the directory, or a newer archfarm wrote it. */
  static async open(directory: string, options: OpenOptions = {}): Promise<SqliteStore> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const lock = await openDatabase(join(directory, 'lock.db'), options.driver);
    const opened = [lock];
    try {
      takeLock(lock, directory);
      const database = await openDatabase(join(directory, 'archfarm.db'), options.driver);
      opened.push(database);
      prepareSchema(database, directory);
      return new SqliteStore(new Sql(database, directory), lock);
    } catch (thrown) {
      for (const database of opened) database.close();
      throw thrown;
    }
  }

  private constructor(sql: Sql, lock: Database) {
    this.#sql = sql;
    this.#lock = lock;
    this.audit = new SqliteAuditTable(sql);
    this.users = new SqliteUserTable(sql);
  }

  async load(): Promise<Saved> {
    const events = this.#sql.prepared('SELECT event FROM events ORDER BY number').all();
    const sequence = this.#sql.prepared('SELECT coalesce(max(sequence), 0) AS sequence FROM builds').get();
    const published = this.#sql
      .prepared(
        'SELECT tag, sequence FROM tags WHERE sequence > (SELECT min(sequence) FROM builds WHERE status IS NULL)',
      )
      .all();
    const drained = this.#sql.prepared('SELECT agent, drained_by, drained_at FROM drained').all();
    return {
      events: events.map((row): DurableEvent => JSON.parse(textOf(row, 'event'))),
      sequence: numberOf(sequence, 'sequence'),
      published: new Map(published.map((row) => [textOf(row, 'tag'), numberOf(row, 'sequence')])),
      drained: new Map(
        drained.map((row) => [
          textOf(row, 'agent'),
          { by: textOf(row, 'drained_by'), at: numberOf(row, 'drained_at') },
        ]),
      ),
    };
  }

  async drain(agent: string, { by, at }: Drain): Promise<void> {
    this.#sql
      .prepared('INSERT OR IGNORE INTO drained (agent, drained_by, drained_at) VALUES (?, ?, ?)')
      .run(agent, by, at);
  }

  async undrain(agent: string): Promise<void> {
    this.#sql.prepared('DELETE FROM drained WHERE agent = ?').run(agent);
  }

  async agents(): Promise<readonly AgentRecord[]> {
    const rows = this.#sql.prepared('SELECT record FROM agents').all();
    return rows.map((row): AgentRecord => JSON.parse(textOf(row, 'record')));
  }

  async keepAgent(record: AgentRecord): Promise<void> {
    this.#sql.transaction(() => {
      this.#sql
        .prepared(
          'INSERT INTO agents (name, record) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET record = excluded.record',
        )
        .run(record.name, JSON.stringify(record));
    });
  }

  async append(events: readonly DurableEvent[], ended: readonly Ended[] = []): Promise<void> {
    this.#sql.transaction(() => {
      for (const build of ended) this.#archive(build);
      for (const event of events) {
        if (event.type === 'submitted') {
          const { id, sequence, idempotencyKey = null } = event.build;
          this.#sql
            .prepared('INSERT INTO builds (id, sequence, idempotency_key) VALUES (?, ?, ?)')
            .run(id, sequence, idempotencyKey);
        }
        this.#sql
          .prepared(
            'INSERT INTO events (build, event) SELECT id, ? FROM builds WHERE id = ? AND status IS NULL',
          )
          .run(JSON.stringify(event), buildOf(event));
      }
    });
  }

  async remains(id: string): Promise<Remains | undefined> {
    const row = this.#sql.prepared('SELECT remains FROM remains WHERE build = ?').get(id);
    return row === undefined ? undefined : JSON.parse(textOf(row, 'remains'));
  }

  async publisher(tag: string): Promise<string | undefined> {
    const row = this.#sql
      .prepared('SELECT id FROM builds WHERE sequence = (SELECT sequence FROM tags WHERE tag = ?)')
      .get(tagKey(tag));
    return row === undefined ? undefined : textOf(row, 'id');
  }

  async builds({ limit, before, status }: ListOptions): Promise<BuildResult[]> {
    const conditions = ['status IS NOT NULL'];
    const values: (string | number)[] = [];
    if (before !== undefined) {
      conditions.push('id < ?');
      values.push(before);
    }
    if (status !== undefined) {
      conditions.push('status = ?');
      values.push(status);
    }
    const rows = this.#sql
      .prepared(`SELECT result FROM builds WHERE ${conditions.join(' AND ')} ORDER BY id DESC LIMIT ?`)
      .all(...values, limit);
    return rows.map((row): BuildResult => JSON.parse(textOf(row, 'result')));
  }

  async build(id: string): Promise<BuildResult | undefined> {
    const row = this.#sql.prepared('SELECT result FROM builds WHERE id = ? AND status IS NOT NULL').get(id);
    return row === undefined ? undefined : JSON.parse(textOf(row, 'result'));
  }

  async find(prefix: string): Promise<string[]> {
    // `~` sorts after every character of an id.
    const rows = this.#sql
      .prepared('SELECT id FROM builds WHERE id >= ? AND id < ? LIMIT 2')
      .all(prefix, `${prefix}~`);
    return rows.map((row) => textOf(row, 'id'));
  }

  async findByIdempotencyKey(key: string): Promise<string | undefined> {
    const row = this.#sql.prepared('SELECT id FROM builds WHERE idempotency_key = ?').get(key);
    return row === undefined ? undefined : textOf(row, 'id');
  }

  async expired({ keep, before, limit }: Expiry): Promise<string[]> {
    // The plus keeps the walk on the ids: the index of states would read and sort all of history.
    const rows = this.#sql
      .prepared(
        `SELECT id FROM builds
       WHERE id < max(?, coalesce((SELECT id FROM builds ORDER BY id DESC LIMIT 1 OFFSET ?), ''))
         AND +status IS NOT NULL AND sequence < (SELECT max(sequence) FROM builds)
       ORDER BY id LIMIT ?`,
      )
      .all(before, keep - 1, limit);
    return rows.map((row) => textOf(row, 'id'));
  }

  async forget(ids: readonly string[]): Promise<void> {
    this.#sql.transaction(() => {
      for (const id of ids) {
        // An open build that is older still has to learn that it was overtaken.
        this.#sql
          .prepared(
            `DELETE FROM tags
           WHERE sequence = (SELECT sequence FROM builds WHERE id = ? AND status IS NOT NULL)
             AND NOT EXISTS (SELECT 1 FROM builds WHERE status IS NULL AND sequence < tags.sequence)`,
          )
          .run(id);
        this.#sql
          .prepared(
            'DELETE FROM remains WHERE build = (SELECT id FROM builds WHERE id = ? AND status IS NOT NULL)',
          )
          .run(id);
        this.#sql.prepared('DELETE FROM builds WHERE id = ? AND status IS NOT NULL').run(id);
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#sql.close();
    // Said explicitly, as libsql closes a connection only when its objects are collected.
    this.#lock.exec('ROLLBACK');
    this.#lock.close();
  }

  #archive({ result, remains }: Ended): void {
    const { build: id, status, tags } = result;
    this.#sql
      .prepared('UPDATE builds SET status = ?, result = ? WHERE id = ? AND status IS NULL')
      .run(status, JSON.stringify(result), id);
    this.#sql
      .prepared('INSERT OR IGNORE INTO remains (build, remains) VALUES (?, ?)')
      .run(id, JSON.stringify(remains));
    this.#sql.prepared('DELETE FROM events WHERE build = ?').run(id);
    for (const tag of result['containerimage.digest'] === undefined ? [] : tags.map(tagKey)) {
      this.#sql
        .prepared(
          `INSERT INTO tags (tag, sequence) SELECT ?, sequence FROM builds WHERE id = ?
           ON CONFLICT (tag) DO UPDATE SET sequence = max(sequence, excluded.sequence)`,
        )
        .run(tag, id);
    }
  }
}

/** A file of its own, so that others may read the store meanwhile. The lock goes with the process, however that ends. */
function takeLock(lock: Database, directory: string): void {
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (thrown) {
    if (!isLocked(thrown)) throw thrown;
    throw new ArchfarmError('config', `data directory ${directory} is in use by another coordinator`, {
      hint: 'stop it, or give this one a directory of its own with --data',
      cause: thrown,
    });
  }
}

function isLocked(thrown: unknown): boolean {
  return thrown instanceof Error && /database is locked|SQLITE_BUSY/.test(thrown.message);
}

/** Statements of one database, each prepared once, and transactions that hold all of their work or none. */
import type { Database, Statement } from './database.ts';
import { unlessStoreFull } from './disk-full.ts';

export class Sql {
  readonly #database: Database;
  readonly #directory: string;
  readonly #statements = new Map<string, Statement>();

  /** `directory` is what an error calls full. */
  constructor(database: Database, directory: string) {
    this.#database = database;
    this.#directory = directory;
  }

  prepared(text: string): Statement {
    const known = this.#statements.get(text);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(text);
    this.#statements.set(text, statement);
    return statement;
  }

  /** On disk when it returns. Throws `disk-full`, and what the work throws. */
  transaction(work: () => void): void {
    unlessStoreFull(this.#directory, () => {
      this.#database.exec('BEGIN IMMEDIATE');
      try {
        work();
        this.#database.exec('COMMIT');
      } catch (thrown) {
        this.#rollback();
        throw thrown;
      }
    });
  }

  close(): void {
    this.#database.close();
  }

  #rollback(): void {
    try {
      this.#database.exec('ROLLBACK');
    } catch {
      // A full disk makes SQLite roll back by itself; the first error is the one to report.
    }
  }
}

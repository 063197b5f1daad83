/** Users as they lie in the store: what is kept of a token is its hash. */
import { numberOf, textOf } from './row.ts';
import type { Sql } from './sql.ts';

export interface UserRow {
  readonly name: string;
  readonly role: string;
  readonly repositories: readonly string[];
  /** sha256 of the token, hexadecimal. */
  readonly tokenHash: string;
  /** Milliseconds since 1970. */
  readonly addedAt: number;
  readonly addedBy: string;
  /** PEM; undefined where it has none. */
  readonly certificate?: string | undefined;
}

/** On disk when a call returns. */
export interface UserTable {
  all(): UserRow[];
  add(user: UserRow): void;
  remove(name: string): void;
}

export class SqliteUserTable implements UserTable {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  all(): UserRow[] {
    const rows = this.#sql.prepared('SELECT * FROM users ORDER BY name').all();
    return rows.map((row) => ({
      name: textOf(row, 'name'),
      role: textOf(row, 'role'),
      repositories: JSON.parse(textOf(row, 'repositories')),
      tokenHash: textOf(row, 'token_hash'),
      addedAt: numberOf(row, 'added_at'),
      addedBy: textOf(row, 'added_by'),
      certificate: textOf(row, 'certificate') || undefined,
    }));
  }

  add(user: UserRow): void {
    const { name, role, repositories, tokenHash, addedAt, addedBy, certificate = '' } = user;
    this.#sql.transaction(() =>
      this.#sql
        .prepared(
          'INSERT INTO users (name, role, repositories, token_hash, added_at, added_by, certificate) VALUES (?, ?, ?, ?, ?, ?, ?)',
        )
        .run(name, role, JSON.stringify(repositories), tokenHash, addedAt, addedBy, certificate),
    );
  }

  remove(name: string): void {
    this.#sql.transaction(() => this.#sql.prepared('DELETE FROM users WHERE name = ?').run(name));
  }
}

export class MemoryUserTable implements UserTable {
  readonly #rows = new Map<string, UserRow>();

  all(): UserRow[] {
    return [...this.#rows.values()];
  }

  add(user: UserRow): void {
    this.#rows.set(user.name, user);
  }

  remove(name: string): void {
    this.#rows.delete(name);
  }
}

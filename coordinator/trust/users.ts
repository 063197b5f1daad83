/** The users of a coordinator. Their tokens are made here, given once, and known by their hashes from then on. */
import { createHash, randomBytes } from 'node:crypto';
import { closestMatch } from 'leven';
import { ArchfarmError } from '../../shared/errors.ts';
import type { UserRow, UserTable } from '../store/user-table.ts';
import { roles, type Role, type User } from './principal.ts';
import { parseRepositoryPrefix } from './repository-prefix.ts';

export interface NewUser {
  readonly name: string;
  readonly role: Role;
  /** As given. */
  readonly repositories: readonly string[];
  /** As the audit calls who adds it. */
  readonly by: string;
}

export interface UserView extends Omit<User, 'type'> {
  /** Milliseconds since 1970. */
  readonly addedAt: number;
  readonly addedBy: string;
}

/** Begins with a letter, so that no address is one, and has no `@`, as what clients call themselves has. */
const nameForm = /^[a-z][a-z0-9._-]{0,63}$/;

export class Users {
  readonly #table: UserTable;
  readonly #byHash: Map<string, UserRow>;

  constructor(table: UserTable) {
    this.#table = table;
    this.#byHash = new Map(table.all().map((row) => [row.tokenHash, row]));
  }

  get size(): number {
    return this.#byHash.size;
  }

  list(): UserView[] {
    const views = [...this.#byHash.values()].map(viewOf);
    return views.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The user of a token with this sha256, hexadecimal. */
  withTokenHash(hash: string): User | undefined {
    const row = this.#byHash.get(hash);
    return row === undefined ? undefined : userOf(row);
  }

  /** The token, which is not to be had again; the user is on disk by then. Throws `usage`. */
  add({ name, role, repositories, by }: NewUser): string {
    if (!nameForm.test(name)) {
      throw new ArchfarmError('usage', `${JSON.stringify(name)} cannot be the name of a user`, {
        hint: 'it begins with a small letter, and has small letters, digits, dots, dashes and underscores, at most 64',
      });
    }
    if (this.#find(name) !== undefined) {
      throw new ArchfarmError('usage', `there is a user ${name} already`, {
        hint: `archfarm users rm ${name} takes away what it has; then add it as it should be`,
      });
    }
    const token = `afu_${randomBytes(32).toString('base64url')}`;
    const row: UserRow = {
      name,
      role,
      repositories: [...new Set(repositories.map(parseRepositoryPrefix))],
      tokenHash: createHash('sha256').update(token).digest('hex'),
      addedAt: Date.now(),
      addedBy: by,
    };
    this.#table.add(row);
    this.#byHash.set(row.tokenHash, row);
    return token;
  }

  /** Its token counts no more from now on. Throws `not-found`. */
  remove(name: string): void {
    const row = this.#find(name);
    if (row === undefined) {
      const near = closestMatch(
        name,
        [...this.#byHash.values()].map((user) => user.name),
        { maxDistance: 3 },
      );
      throw new ArchfarmError('not-found', `no user is called ${JSON.stringify(name)}`, {
        hint: near === undefined ? 'archfarm users lists them' : `did you mean ${near}?`,
      });
    }
    this.#table.remove(name);
    this.#byHash.delete(row.tokenHash);
  }

  #find(name: string): UserRow | undefined {
    return [...this.#byHash.values()].find((row) => row.name === name);
  }
}

function userOf({ name, role, repositories }: UserRow): User {
  return { type: 'user', name, role: roleOf(role), repositories };
}

function viewOf(row: UserRow): UserView {
  const { type: _type, ...user } = userOf(row);
  return { ...user, addedAt: row.addedAt, addedBy: row.addedBy };
}

/** A role that a newer archfarm wrote is worth the least. */
function roleOf(text: string): Role {
  return roles.find((role) => role === text) ?? 'read';
}

/** The users of a coordinator. Their tokens are made here, given once, and known by their hashes from then on. */
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { closestMatch } from 'leven';
import { ArchfarmError } from '../../shared/errors.ts';
import type { UserRow, UserTable } from '../store/user-table.ts';
import { fingerprintOf } from './identities.ts';
import { roles, type Role, type User } from './principal.ts';
import { parseRepositoryPrefix } from './repository-prefix.ts';

export interface NewUser {
  readonly name: string;
  readonly role: Role;
  /** As given. */
  readonly repositories: readonly string[];
  /** By which it signs in, beside its token. */
  readonly certificate?: X509Certificate | undefined;
  /** As the audit calls who adds it. */
  readonly by: string;
}

export interface UserView extends Omit<User, 'type'> {
  /** Milliseconds since 1970. */
  readonly addedAt: number;
  readonly addedBy: string;
  readonly certificate?: UserCertificate | undefined;
}

export interface UserCertificate {
  /** sha256, hexadecimal. */
  readonly fingerprint: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** A user in memory: certificates are read once. */
interface Known {
  readonly row: UserRow;
  readonly certificate: X509Certificate | undefined;
}

/** Begins with a letter, so that no address is one, and has no `@`, as what clients call themselves has. */
const nameForm = /^[a-z][a-z0-9._-]{0,63}$/;

export class Users {
  readonly #table: UserTable;
  readonly #byHash = new Map<string, Known>();
  /** Of those that have a certificate. */
  readonly #byFingerprint = new Map<string, Known>();

  constructor(table: UserTable) {
    this.#table = table;
    for (const row of table.all()) {
      const { certificate: pem } = row;
      this.#take({ row, certificate: pem === undefined ? undefined : new X509Certificate(pem) });
    }
  }

  get size(): number {
    return this.#byHash.size;
  }

  /** By which users sign in. */
  get certificates(): X509Certificate[] {
    return [...this.#byFingerprint.values()].flatMap(({ certificate }) => certificate ?? []);
  }

  list(): UserView[] {
    const views = [...this.#byHash.values()].map(viewOf);
    return views.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The user of a token with this sha256, hexadecimal. */
  withTokenHash(hash: string): User | undefined {
    const known = this.#byHash.get(hash);
    return known && userOf(known.row);
  }

  /** The user of a certificate with this sha256, hexadecimal: whether that is valid now is not looked at. */
  withCertificate(fingerprint: string): User | undefined {
    const known = this.#byFingerprint.get(fingerprint);
    return known && userOf(known.row);
  }

  /** The token, which is not to be had again; the user is on disk by then. Throws `usage`. */
  add({ name, role, repositories, certificate, by }: NewUser): string {
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
    const owner = certificate && this.withCertificate(fingerprintOf(certificate));
    if (owner !== undefined) {
      throw new ArchfarmError('usage', `the certificate is that of user ${owner.name} already`, {
        hint: 'give each user one of its own',
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
      certificate: certificate?.toString(),
    };
    this.#table.add(row);
    this.#take({ row, certificate });
    return token;
  }

  /** Neither its token nor its certificate counts from now on. Throws `not-found`. */
  remove(name: string): void {
    const known = this.#find(name);
    if (known === undefined) {
      const near = closestMatch(
        name,
        [...this.#byHash.values()].map(({ row }) => row.name),
        { maxDistance: 3 },
      );
      throw new ArchfarmError('not-found', `no user is called ${JSON.stringify(name)}`, {
        hint: near === undefined ? 'archfarm users lists them' : `did you mean ${near}?`,
      });
    }
    this.#table.remove(name);
    const { row, certificate } = known;
    this.#byHash.delete(row.tokenHash);
    if (certificate !== undefined) this.#byFingerprint.delete(fingerprintOf(certificate));
  }

  #take(known: Known): void {
    const { row, certificate } = known;
    this.#byHash.set(row.tokenHash, known);
    if (certificate !== undefined) this.#byFingerprint.set(fingerprintOf(certificate), known);
  }

  #find(name: string): Known | undefined {
    return [...this.#byHash.values()].find(({ row }) => row.name === name);
  }
}

function userOf({ name, role, repositories }: UserRow): User {
  return { type: 'user', name, role: roleOf(role), repositories };
}

function viewOf({ row, certificate }: Known): UserView {
  const { type: _type, ...user } = userOf(row);
  const view = { ...user, addedAt: row.addedAt, addedBy: row.addedBy };
  return certificate === undefined ? view : { ...view, certificate: described(certificate) };
}

/** As it is told of. */
export function described(certificate: X509Certificate): UserCertificate {
  return { fingerprint: fingerprintOf(certificate), expiresAt: Date.parse(certificate.validTo) };
}

/** A role that a newer archfarm wrote is worth the least. */
function roleOf(text: string): Role {
  return roles.find((role) => role === text) ?? 'read';
}

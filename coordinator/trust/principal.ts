/** Whom a request comes from. */

/** Each may do what the one before it may. */
export const roles = ['read', 'build', 'admin'] as const;
export type Role = (typeof roles)[number];

export interface User {
  readonly type: 'user';
  readonly name: string;
  readonly role: Role;
  /** Registries, namespaces and repositories that it may publish to; none: all. */
  readonly repositories: readonly string[];
}

/** An agent that has joined, and shows its certificate. */
export interface JoinedAgent {
  readonly type: 'agent';
  readonly name: string;
  /** Registries, namespaces and repositories that it may push to; none: all. */
  readonly repositories: readonly string[];
  /** Of its certificate: sha256, hexadecimal. */
  readonly fingerprint: string;
}

/** Whoever has the token that all of a small farm share, agents and clients alike. */
export interface TokenHolder {
  readonly type: 'token';
}

/** Whoever is on the coordinator's own machine, where it listens for that machine alone and has no token. */
export interface Machine {
  readonly type: 'machine';
}

export type Principal = User | JoinedAgent | TokenHolder | Machine;

/** A request's maker, and the address it came from. */
export interface Visitor {
  readonly principal: Principal;
  readonly from: string;
}

/** As messages and the audit call it. */
export function nameOf(principal: Principal): string {
  switch (principal.type) {
    case 'user':
      return principal.name;
    case 'agent':
      return `agent ${principal.name}`;
    case 'token':
      return 'the shared token';
    case 'machine':
      return "the coordinator's machine";
    default:
      return principal satisfies never;
  }
}

/**
 * Who a build is recorded as submitted by: a user's name goes before what its client calls itself. What others call
 * themselves has an `@` in it, as no user's name has, nor what `nameOf` calls somebody.
 */
export function clientOf({ principal, from }: Visitor, client: string | undefined): string {
  if (principal.type === 'user') return principal.name;
  if (client === undefined) return from;
  return client.includes('@') ? client : `${client}@${from}`;
}

/** Keys and ids that clients choose: those of one user are not those of another. */
export function scopedTo(principal: Principal, text: string): string {
  // No name of a user has a slash in it, and what others choose has nothing in front.
  return principal.type === 'user' ? `${principal.name}/${text}` : text;
}

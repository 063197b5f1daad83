/** Who may do what: the one table that every route and every socket is let in by. */
import { ArchfarmError } from '../../shared/errors.ts';
import { nameOf, roles, type Principal, type Role } from './principal.ts';
import { isCovered } from './repository-prefix.ts';

interface Access {
  /** `known`: whoever shows who it is; `agent`: joined agents, and those that have the shared token. */
  readonly needs: 'anybody' | 'known' | Role | 'agent';
  /** What somebody does with builds that it submitted itself; with those of others an admin alone does it. */
  readonly own?: true;
  /** Completes "it takes the role R to …". */
  readonly what: string;
}

const table = {
  dashboard: { needs: 'anybody', what: 'load the dashboard, which then asks as whoever signs in' },
  health: { needs: 'anybody', what: 'see whether the coordinator lives and is ready' },
  version: { needs: 'known', what: 'see which version it is' },
  whoami: { needs: 'known', what: 'see who one is' },
  'read-metrics': { needs: 'read', what: 'read metrics' },
  'list-builds': { needs: 'read', what: 'list builds' },
  'show-build': { needs: 'read', what: 'look at builds' },
  'read-log': { needs: 'read', what: 'read logs' },
  'find-path': { needs: 'read', what: 'look at contexts' },
  'find-publisher': { needs: 'read', what: 'look at builds' },
  'list-agents': { needs: 'read', what: 'look at agents' },
  'watch-farm': { needs: 'read', what: 'watch the farm' },
  'show-store': { needs: 'read', what: 'look at the store of contexts' },
  submit: { needs: 'build', what: 'submit builds' },
  plan: { needs: 'build', what: 'plan builds' },
  verify: { needs: 'build', what: 'verify images' },
  cancel: { needs: 'build', own: true, what: 'cancel builds' },
  retry: { needs: 'build', own: true, what: 'retry builds' },
  amend: { needs: 'build', own: true, what: 'amend builds' },
  'supply-secrets': { needs: 'build', own: true, what: 'give builds their secrets' },
  complete: { needs: 'build', own: true, what: 'give builds their contexts' },
  'send-context': { needs: 'build', own: true, what: 'give builds their contexts' },
  'serve-ssh': { needs: 'build', own: true, what: 'give builds an ssh agent' },
  'open-tunnel': { needs: 'build', what: 'give builds an ssh agent' },
  'drain-agent': { needs: 'admin', what: 'drain agents' },
  'resume-agent': { needs: 'admin', what: 'resume agents' },
  'add-agent': { needs: 'admin', what: 'let agents join' },
  'remove-agent': { needs: 'admin', what: 'remove agents' },
  'list-users': { needs: 'admin', what: 'look at users' },
  'add-user': { needs: 'admin', what: 'add users' },
  'remove-user': { needs: 'admin', what: 'remove users' },
  'read-audit': { needs: 'admin', what: 'read the audit' },
  'get-certificate': { needs: 'anybody', what: 'join with a token for that' },
  'renew-certificate': { needs: 'agent', what: 'renew its certificate' },
  'join-farm': { needs: 'agent', what: 'work as an agent' },
  'fetch-context': { needs: 'agent', what: 'work as an agent' },
  'use-ssh': { needs: 'agent', what: 'work as an agent' },
} as const satisfies Record<string, Access>;

export type Verb = keyof typeof table;

export const access: Readonly<Record<Verb, Access>> = table;

/** Undefined stands for somebody who did not show who it is. */
export function may(principal: Principal | undefined, verb: Verb): boolean {
  const { needs } = access[verb];
  if (needs === 'anybody') return true;
  if (principal === undefined) return false;
  switch (principal.type) {
    case 'token':
    case 'machine':
      return true;
    case 'agent':
      return needs === 'agent' || needs === 'known';
    case 'user':
      return needs === 'known' || (needs !== 'agent' && includes(principal.role, needs));
    default:
      return principal satisfies never;
  }
}

/** Throws `forbidden` naming who, what it is, and what it takes. */
export function requireAccess(principal: Principal, verb: Verb): void {
  if (may(principal, verb)) return;
  const { needs, what } = access[verb];
  if (needs === 'agent') {
    throw new ArchfarmError('forbidden', `${describe(principal)}: only an agent may ${what}`, {
      hint: 'archfarm-agent runs with what its host has been given, not with the token of a user',
    });
  }
  throw new ArchfarmError('forbidden', `${describe(principal)}: to ${what} takes the role ${needs}`, {
    hint: `an admin of the coordinator gives roles (archfarm users); archfarm whoami tells who you are`,
  });
}

/** Throws `forbidden` for what is done to a build of somebody else. `client` is who submitted it. */
export function requireOwn(
  principal: Principal,
  verb: Verb | undefined,
  { build, client }: { readonly build: string; readonly client?: string | undefined },
): void {
  if (verb === undefined || access[verb].own !== true || principal.type !== 'user') return;
  if (principal.role === 'admin' || client === principal.name) return;
  const whose = client === undefined ? 'is not yours' : `is a build of ${client}`;
  throw new ArchfarmError(
    'forbidden',
    `${describe(principal)}, and ${build} ${whose}: to ${access[verb].what} of others takes the role admin`,
    { hint: 'archfarm whoami tells who you are; ask whoever submitted it, or an admin' },
  );
}

/** Throws `forbidden` naming the first of the references that it may not publish to. */
export function requireRepositories(principal: Principal, references: readonly string[]): void {
  if (principal.type !== 'user' || principal.repositories.length === 0) return;
  const { repositories } = principal;
  const foreign = references.find((reference) => !isCovered(reference, repositories));
  if (foreign === undefined) return;
  throw new ArchfarmError(
    'forbidden',
    `${describe(principal)}, for ${repositories.join(', ')} and what is below, not for ${foreign}`,
    { hint: 'give the image a name there, or ask an admin of the coordinator for more (archfarm users)' },
  );
}

function includes(role: Role, needed: Role): boolean {
  return roles.indexOf(role) >= roles.indexOf(needed);
}

function describe(principal: Principal): string {
  const name = nameOf(principal);
  return principal.type === 'user' ? `user ${name} has the role ${principal.role}` : `this is ${name}`;
}

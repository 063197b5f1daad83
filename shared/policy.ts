/** What a build may ask of the engine that it runs on: its agent says so, and by default none of this. */
import { ArchfarmError } from './errors.ts';
import { isBelow, isDockersOwn } from './frontend.ts';

/**
 * What an agent allows: `network-host`, `extra-hosts`, `ssh`, `frontend=PREFIX`, or `all`. An agent that says nothing
 * is of a version that knew no policies.
 */
export type Policy = readonly string[];

/** What a build asks for: the allowance that it needs, `frontend=` with the very image. */
export type Demand = string;

export interface Asking {
  readonly network?: string | undefined;
  readonly extraHosts: readonly string[];
  readonly ssh: readonly unknown[];
  /** See frontend.ts. */
  readonly frontends: readonly string[];
}

const simple = ['network-host', 'extra-hosts', 'ssh', 'all'];
const frontendPrefix = 'frontend=';

/** Throws `usage` naming where it was said. */
export function parsePolicy(allowances: readonly string[], from: string): Policy {
  const stray = allowances.find(
    (allowance) => !simple.includes(allowance) && !/^frontend=[^\s,]+$/.test(allowance),
  );
  if (stray === undefined) return [...new Set(allowances)];
  throw new ArchfarmError('usage', `${from}: a build cannot be allowed ${JSON.stringify(stray)}`, {
    hint: 'there are network-host, extra-hosts, ssh, frontend=PREFIX (like frontend=ghcr.io/acme/), and all',
  });
}

export function demandsOf({ network, extraHosts, ssh, frontends }: Asking): Demand[] {
  return [
    ...(network === 'host' ? ['network-host'] : []),
    ...(extraHosts.length > 0 ? ['extra-hosts'] : []),
    ...(ssh.length > 0 ? ['ssh'] : []),
    ...new Set(frontends.filter((each) => !isDockersOwn(each)).map((each) => `${frontendPrefix}${each}`)),
  ];
}

/** The demands that such an agent refuses. */
export function refusedBy(policy: Policy | undefined, demands: readonly Demand[]): Demand[] {
  if (policy === undefined || policy.includes('all')) return [];
  return demands.filter((demand) => !policy.some((allowance) => allows(allowance, demand)));
}

function allows(allowance: string, demand: Demand): boolean {
  if (allowance === demand) return true;
  if (!allowance.startsWith(frontendPrefix) || !demand.startsWith(frontendPrefix)) return false;
  return isBelow(demand.slice(frontendPrefix.length), allowance.slice(frontendPrefix.length));
}

/** `host network, the frontend evil/frontend:1`. */
export function describeDemands(demands: readonly Demand[]): string {
  return demands.map(describe).join(', ');
}

function describe(demand: Demand): string {
  switch (demand) {
    case 'network-host':
      return 'the network of its host (--network host)';
    case 'extra-hosts':
      return 'names with addresses of their own (extra_hosts)';
    case 'ssh':
      return 'an ssh agent (--ssh)';
    default:
      return `the frontend ${demand.slice(frontendPrefix.length)} (# syntax= or BUILDKIT_SYNTAX)`;
  }
}

/** How a host is told to allow them. */
export function allowFlag(demands: readonly Demand[]): string {
  return `--allow ${demands.join(',')}`;
}

/** What a token allows: actions on repositories. */

export interface Scope {
  /** Without the registry. */
  readonly repository: string;
  readonly actions: 'pull' | 'pull,push';
}

export function pull(repository: string): Scope {
  return { repository, actions: 'pull' };
}

export function push(repository: string): Scope {
  return { repository, actions: 'pull,push' };
}

/** As token servers read it: `repository:onap/py-app:pull,push`. */
export function formatScope(scope: Scope): string {
  return `repository:${scope.repository}:${scope.actions}`;
}

/** Whether everything `wanted` is in what was granted. */
export function scopesCover(granted: readonly Scope[], wanted: readonly Scope[]): boolean {
  return wanted.every(({ repository, actions }) =>
    granted.some((scope) => scope.repository === repository && scope.actions.startsWith(actions)),
  );
}

/** For messages: `push to host/onap/py-app`, what is asked for in the first place. */
export function describeAccess(host: string, scopes: readonly Scope[]): string {
  const [first] = scopes;
  if (first === undefined) return `access to ${host}`;
  return `${first.actions === 'pull' ? 'pull from' : 'push to'} ${host}/${first.repository}`;
}

/** Who looks, as the coordinator knows it, and what that one may do here. */
import { computed, signal } from '@preact/signals';
import { getJson, RequestError } from './request.ts';
import { askUntilAnswered, type Asking } from './retry.ts';

/** What `GET /v1/whoami` says. */
interface Identity {
  readonly type: 'user' | 'agent' | 'token' | 'machine';
  readonly name: string;
  readonly role?: 'read' | 'build' | 'admin';
}

const identity = signal<Identity | undefined>(undefined);

/** Undefined of whoever has no name of its own. */
export const userName = computed(() => (identity.value?.type === 'user' ? identity.value.name : undefined));

/** Whoever has the token that all share, or sits at the coordinator itself, may do everything. */
const role = computed(() => {
  const { type, role } = identity.value ?? {};
  if (type === undefined || type === 'agent') return 'read';
  return type === 'user' ? (role ?? 'read') : 'admin';
});

/** May look, and no more. */
export const isReader = computed(() => identity.value !== undefined && role.value === 'read');

/** Drain and resume. */
export const mayAdminister = computed(() => role.value === 'admin');

/** Cancel and retry: what somebody submitted itself, and everything for an admin. */
export function mayChange(client: string | undefined): boolean {
  return role.value === 'admin' || (role.value === 'build' && client === userName.value);
}

/** Resolves once that is known, or will not be. */
export async function askWho(asking: Asking): Promise<void> {
  try {
    const ask = (): Promise<Identity> => getJson('/v1/whoami', asking.signal);
    const answer = await askUntilAnswered(ask, asking);
    if (answer !== undefined) identity.value = answer;
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    identity.value = undefined;
  }
}

/** Whose eyes these are: the token that requests carry, for as long as this tab lives. */
import { computed, signal } from '@preact/signals';

const key = 'archfarm.token';

const stored = signal(sessionStorage.getItem(key) ?? undefined);

/** Undefined on a coordinator that asks for none, and before somebody has signed in. */
export const token = computed(() => stored.value);

/** Why the coordinator wants to know who this is; undefined while it answers. */
export const refused = signal<string | undefined>(undefined);

export function signIn(given: string): void {
  sessionStorage.setItem(key, given);
  stored.value = given;
  refused.value = undefined;
}

export function signOut(why: string): void {
  sessionStorage.removeItem(key);
  stored.value = undefined;
  refused.value = why;
}

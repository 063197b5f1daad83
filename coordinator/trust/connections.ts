/** The open connections of everybody who has an identity that can be taken away. */
import type { Principal } from './principal.ts';

/** Many hold one token: its agents have the names that they go by. */
type Holder = Pick<Principal, 'type'> & { readonly name?: string | undefined };

export class Connections {
  readonly #open = new Map<string, Set<() => void>>();

  /** `end` closes the connection; to be called with the result once it is closed. Harmless when repeated. */
  hold(holder: Holder, end: () => void): () => void {
    const key = keyOf(holder);
    if (key === undefined) return () => {};
    const open = this.#open.get(key) ?? new Set();
    this.#open.set(key, open.add(end));
    return () => {
      open.delete(end);
      if (open.size === 0 && this.#open.get(key) === open) this.#open.delete(key);
    };
  }

  /** Closes them all: this identity counts no more. */
  end(holder: Holder & { readonly name: string }): void {
    const key = keyOf(holder);
    for (const end of (key === undefined ? undefined : this.#open.get(key)) ?? []) end();
  }
}

/** Undefined for what many share. */
function keyOf({ type, name }: Holder): string | undefined {
  return name === undefined ? undefined : `${type} ${name}`;
}

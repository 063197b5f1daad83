/** What the engine of one attempt selected of its trees, to be told to the coordinator, and again after a reconnect. */
import { everything, type Selection } from '../shared/context/select.ts';
import type { Digest } from '../shared/context/tree.ts';
import { limits } from '../shared/messages.ts';

type Send = (tree: Digest, selection: Selection) => void;

/** Engines open a tree two or three times; one that does it without end selects everything. */
const maxSelections = 32;

export class Selections {
  readonly #send: Send;
  readonly #told = new Map<string, { readonly tree: Digest; readonly selection: Selection }>();

  constructor(send: Send) {
    this.#send = send;
  }

  add(tree: Digest, given: Selection): void {
    const fits = Buffer.byteLength(JSON.stringify(given)) <= limits.selection;
    const selection = fits && this.#told.size < maxSelections ? given : everything;
    const key = JSON.stringify([tree, selection]);
    if (this.#told.has(key)) return;
    this.#told.set(key, { tree, selection });
    this.#send(tree, selection);
  }

  resend(): void {
    for (const { tree, selection } of this.#told.values()) this.#send(tree, selection);
  }
}

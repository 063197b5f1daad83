/** How far the layers of one image are, over all pushes that it takes to bring them to the registry. */
import type { PushEvent } from '../../shared/progress.ts';

/** Milliseconds between two events of a layer whose status stays. */
const eventInterval = 500;

export class PushLayers {
  readonly #onEvent: (event: PushEvent) => void;
  readonly #said = new Map<string, PushEvent>();
  readonly #landed = new Set<string>();
  /** Bytes of those that are being sent, where the engine says. */
  readonly #sending = new Map<string, number | undefined>();

  constructor(onEvent: (event: PushEvent) => void) {
    this.#onEvent = onEvent;
  }

  /** Layers that are in the registry. A later push finds them there. */
  get landed(): number {
    return this.#landed.size;
  }

  /** What the last push was sending when it ended. */
  get unfinished(): readonly { readonly layer: string; readonly bytes: number | undefined }[] {
    return [...this.#sending].map(([layer, bytes]) => ({ layer, bytes }));
  }

  begin(): void {
    this.#sending.clear();
  }

  /** Passes on each change of a layer's status, and its progress now and then. */
  note(event: PushEvent): void {
    const { layer, status, total } = event;
    if (/^(Pushed|(Layer )?already exists|Mounted from )/i.test(status)) {
      this.#landed.add(layer);
      this.#sending.delete(layer);
    } else if (status === 'Pushing') this.#sending.set(layer, total ?? this.#sending.get(layer));
    const before = this.#said.get(layer);
    if (before?.status === status && event.time - before.time < eventInterval) return;
    this.#said.set(layer, event);
    this.#onEvent(event);
  }
}

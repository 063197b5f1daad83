/** What is still to be told to one webhook, in a file: lines of JSON in the order they came, and a line for each that is done. */
import { appendFileSync, readFileSync, truncateSync } from 'node:fs';
import * as v from 'valibot';
import { systemCode } from '../../shared/errors.ts';
import { writeWholeSync } from '../../shared/whole-file.ts';

const deliverySchema = v.object({ id: v.string(), build: v.string(), event: v.string(), body: v.string() });
const lineSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.union([deliverySchema, v.object({ done: v.string() })]),
);

/** The same id again is the same news: a coordinator that was stopped may tell it twice. */
export type Delivery = v.InferOutput<typeof deliverySchema>;

export interface QueueBounds {
  readonly deliveries: number;
  readonly bytes: number;
}

export const queueBounds: QueueBounds = { deliveries: 10_000, bytes: 32 * 1024 * 1024 };
/** Lines of what is done that the file may have. */
const maxDone = 10_000;

export class DeliveryQueue {
  readonly #file: string;
  readonly #bounds: QueueBounds;
  readonly #waiting = new Map<string, Delivery>();
  #bytes = 0;
  #done = 0;

  /** Takes up what an earlier process left. Throws where the file can be neither read nor written. */
  constructor(file: string, bounds: QueueBounds = queueBounds) {
    this.#file = file;
    this.#bounds = bounds;
    for (const line of readLines(file)) {
      const { success, output } = v.safeParse(lineSchema, line);
      // The last line of a process that died in the middle of it.
      if (!success) continue;
      if ('done' in output) this.#forget(output.done);
      else this.#remember(output);
    }
    this.#compact();
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** In the order they came. */
  waiting(): Iterable<Delivery> {
    return this.#waiting.values();
  }

  has(id: string): boolean {
    return this.#waiting.has(id);
  }

  /** False where there is no room. Outlives this process when it returns, and not the loss of power. */
  add(delivery: Delivery): boolean {
    const { deliveries, bytes } = this.#bounds;
    if (this.size >= deliveries || this.#bytes + delivery.body.length > bytes) return false;
    appendFileSync(this.#file, `${JSON.stringify(delivery)}\n`, { mode: 0o600 });
    this.#remember(delivery);
    return true;
  }

  /** It was told, or given up. */
  settle(id: string): void {
    if (!this.#forget(id)) return;
    if (this.size === 0) {
      truncateSync(this.#file);
      this.#done = 0;
    } else if (++this.#done > maxDone) this.#compact();
    else appendFileSync(this.#file, `${JSON.stringify({ done: id })}\n`);
  }

  #remember(delivery: Delivery): void {
    this.#waiting.set(delivery.id, delivery);
    this.#bytes += delivery.body.length;
  }

  #forget(id: string): boolean {
    this.#bytes -= this.#waiting.get(id)?.body.length ?? 0;
    return this.#waiting.delete(id);
  }

  #compact(): void {
    const lines = [...this.#waiting.values()].map((delivery) => `${JSON.stringify(delivery)}\n`);
    writeWholeSync(this.#file, lines.join(''), { mode: 0o600 });
    this.#done = 0;
  }
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

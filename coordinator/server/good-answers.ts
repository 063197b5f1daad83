/** Questions whose good answer holds for a while: many builds at once ask the same. */
import { untilAborted } from '../../shared/abort.ts';

export interface AskOptions {
  readonly signal: AbortSignal;
  /** Whether an earlier answer will do. */
  readonly believe: boolean;
}

/** Good answers that are kept; the oldest give way. */
const maxKept = 1_000;

export class GoodAnswers {
  /** Milliseconds that one holds. */
  readonly #memory: number;
  /** Until when, by its question. */
  readonly #kept = new Map<string, number>();
  readonly #asking = new Map<string, Promise<void>>();

  constructor(memory: number) {
    this.#memory = memory;
  }

  /** Throws what `ask` does, also to those who asked the same meanwhile. */
  async ask(
    question: string,
    { signal, believe }: AskOptions,
    ask: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    if (!believe) return this.#anew(question, ask(signal));
    if ((this.#kept.get(question) ?? 0) > performance.now()) return;
    let asking = this.#asking.get(question);
    if (asking === undefined) {
      // Not the caller's signal: others may be waiting for the same answer.
      asking = this.#anew(question, ask(new AbortController().signal)).finally(() =>
        this.#asking.delete(question),
      );
      this.#asking.set(question, asking);
    }
    await untilAborted(asking, signal);
  }

  async #anew(question: string, asked: Promise<void>): Promise<void> {
    this.#kept.delete(question);
    await asked;
    this.#kept.set(question, performance.now() + this.#memory);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > maxKept && oldest !== undefined) this.#kept.delete(oldest);
  }
}

/** Whether the coordinator can take builds: `/readyz`, for who sends clients to it. */
import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../shared/errors.ts';

/** Milliseconds that an answer stands: anybody may ask. */
const memory = 5000;
/** As much as the smallest build needs. */
const probe = Buffer.alloc(64 * 1024);

export class Readiness {
  readonly #directory: string;
  #stopping = false;
  #answer: { readonly value: Promise<string | undefined>; readonly until: number } | undefined;

  /** `directory` is where builds are stored. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** From now on it is not ready. */
  stop(): void {
    this.#stopping = true;
  }

  /** Why it is not; undefined where it is. */
  async objection(): Promise<string | undefined> {
    if (this.#stopping) return 'the coordinator stops';
    const now = performance.now();
    if (this.#answer === undefined || this.#answer.until <= now) {
      this.#answer = { value: this.#tryToWrite(), until: now + memory };
    }
    return this.#answer.value;
  }

  async #tryToWrite(): Promise<string | undefined> {
    const file = join(this.#directory, `.ready-${randomUUID()}`);
    try {
      await writeFile(file, probe, { mode: 0o600 });
      return undefined;
    } catch (error) {
      return `nothing can be stored: ${messageOf(error)}`;
    } finally {
      await rm(file, { force: true }).catch(() => {});
    }
  }
}

/** The client's end of a context: serves what the coordinator asks for, over as many connections as it takes. */
import { delay } from '../../shared/abort.ts';
import { Backoff } from '../../shared/backoff.ts';
import { givesPieces } from '../../shared/context/gives-pieces.ts';
import { sendContents, type ContentSource } from '../../shared/context/sender.ts';
import { dial, onceOpen, type DialOptions } from '../../shared/dial.ts';

export interface ContextUploadOptions extends Pick<DialOptions, 'coordinator' | 'token' | 'trust'> {
  /** What the coordinator knows this client by. */
  readonly link: string;
  readonly source: ContentSource;
}

export class ContextUpload {
  readonly #options: ContextUploadOptions;
  readonly #stop = new AbortController();
  readonly #serving: Promise<void>;
  #build: string | undefined;

  constructor(options: ContextUploadOptions) {
    this.#options = options;
    this.#serving = this.#serve();
  }

  /** A coordinator that restarted knows builds, but not whose link they came by. */
  submitted(build: string): void {
    this.#build = build;
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('the build has ended'));
    await this.#serving;
  }

  async #serve(): Promise<void> {
    const { link, source, ...coordinator } = this.#options;
    const { signal } = this.#stop;
    const backoff = new Backoff({ first: 200, max: 2000 });
    while (!signal.aborted) {
      const query = {
        link,
        [givesPieces.query]: givesPieces.value,
        ...(this.#build === undefined ? {} : { build: this.#build }),
      };
      const socket = dial('/v1/client/context', { ...coordinator, query });
      try {
        await onceOpen(socket, () => sendContents(socket, source, signal), signal);
        backoff.reset();
      } catch {
        // Whoever follows the build says that the coordinator is away; here it is only dialed again.
      }
      await delay(backoff.next(), signal).catch(() => {});
    }
  }
}

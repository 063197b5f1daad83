/** One build, followed from its first event to its result. */
import { batch, signal } from '@preact/signals';
import type { BuildResult, Frame } from '../../../shared/progress.ts';
import { follow, type LinkState } from '../api/lines.ts';
import { getJson, RequestError } from '../api/request.ts';
import { askUntilAnswered } from '../api/retry.ts';
import { BuildRecord } from './record.ts';

export class BuildSource {
  /** As written in the address: it may be abbreviated. */
  readonly id: string;
  readonly record = new BuildRecord();
  /** Rises whenever the record has changed, at most once a picture. */
  readonly version = signal(0);
  /** As the coordinator tells it; undefined until it has. */
  readonly result = signal<BuildResult | undefined>(undefined);
  readonly state = signal<LinkState>('connecting');
  readonly error = signal<RequestError | undefined>(undefined);
  /** Why there are no events, where there are none. */
  readonly noLog = signal<RequestError | undefined>(undefined);
  readonly #stop = new AbortController();
  #picture: number | undefined;

  constructor(id: string) {
    this.id = id;
  }

  async run(): Promise<void> {
    const { signal } = this.#stop;
    const id = encodeURIComponent(this.id);
    if (!(await this.#ask(`/v1/builds/${id}`))) return;
    await follow<Frame>({
      path: () => `/v1/builds/${id}/events?follow=1&after=${this.record.seq}`,
      take: (lines) => {
        for (const frame of lines) this.record.take(frame);
        this.#changed();
      },
      state: (state, error) => {
        this.state.value = state;
        this.noLog.value = error;
      },
      isOver: () => this.record.result !== undefined,
      signal,
    });
  }

  close(): void {
    this.#stop.abort();
    if (this.#picture !== undefined) cancelAnimationFrame(this.#picture);
  }

  /** Whether the coordinator knows it; what it says of it is shown, and so is that it does not answer. */
  async #ask(path: string): Promise<boolean> {
    const { signal } = this.#stop;
    const failed = (error: RequestError): void => {
      this.error.value = error;
    };
    try {
      const ask = (): Promise<BuildResult> => getJson(path, signal);
      const result = await askUntilAnswered(ask, { signal, waiting: failed });
      batch(() => {
        this.result.value = result;
        this.error.value = undefined;
      });
      return result !== undefined;
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      failed(error);
      return false;
    }
  }

  #changed(): void {
    this.#picture ??= requestAnimationFrame(() => {
      this.#picture = undefined;
      batch(() => {
        this.version.value += 1;
        const { result } = this.record;
        // What the end of the log does not tell is known from before.
        if (result !== undefined) this.result.value = { ...result, repeat: this.result.value?.repeat };
      });
    });
  }
}

/** One build, followed from its first event to its result. */
import { batch, signal } from '@preact/signals';
import type { BuildResult, Frame } from '../../../shared/progress.ts';
import { follow, type LinkState } from '../api/lines.ts';
import { getJson, RequestError } from '../api/request.ts';
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
    await this.refresh();
    if (this.error.value !== undefined) return;
    const id = encodeURIComponent(this.id);
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

  /** What the coordinator says of it now. */
  async refresh(): Promise<void> {
    try {
      const result = await getJson<BuildResult>(
        `/v1/builds/${encodeURIComponent(this.id)}`,
        this.#stop.signal,
      );
      batch(() => {
        this.result.value = result;
        this.error.value = undefined;
      });
    } catch (error) {
      if (error instanceof RequestError) this.error.value = error;
      else if (!this.#stop.signal.aborted) throw error;
    }
  }

  close(): void {
    this.#stop.abort();
    if (this.#picture !== undefined) cancelAnimationFrame(this.#picture);
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

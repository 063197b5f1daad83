/** Does what the farm asks of registries: reads pushed images back, and publishes lists. Outcomes go back as events. */
import { formatAttempt } from '../../shared/attempt.ts';
import { toErrorInfo } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { parsePlatform } from '../../shared/platform.ts';
import type { PublishEvent } from '../../shared/progress.ts';
import { parseReference } from '../../shared/reference.ts';
import type { Effect } from '../farm/events.ts';
import type { Farm } from '../farm/farm.ts';
import { platformImage } from '../farm/task.ts';
import { publish } from '../manifest/publish.ts';
import { verifyImage } from '../manifest/verify.ts';
import type { Registries } from '../registry/registries.ts';

export interface PublisherOptions {
  readonly registries: Registries;
  readonly log: Logger;
  readonly onEvent: (build: string, event: PublishEvent) => void;
}

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  verify(farm: Farm, { attempt, image }: Extract<Effect, { type: 'verify' }>): void {
    this.#run(async (signal) => {
      const spec = farm.spec(attempt.build);
      if (spec === undefined) return;
      const reference = parseReference(platformImage(spec, attempt.platform));
      const asked = { reported: image, reference, platform: parsePlatform(attempt.platform) };
      try {
        const verified = await verifyImage(asked, this.#options.registries, signal);
        await farm.record({ type: 'verified', at: farm.now, attempt, image: verified });
      } catch (thrown) {
        if (signal.aborted) return;
        const error = toErrorInfo(thrown, 'registry-error');
        this.#options.log.warn({ attempt: formatAttempt(attempt), error }, 'a reported image was refused');
        const kind = error.code === 'wrong-architecture' ? 'build' : 'infrastructure';
        await farm.record({ type: 'failed', at: farm.now, attempt, outcome: 'failed', kind, error });
      }
    });
  }

  publish(farm: Farm, { build, children, tags }: Extract<Effect, { type: 'publish' }>): void {
    this.#run(async (signal) => {
      const { registries, log, onEvent } = this.#options;
      const start = performance.now();
      try {
        const options = { signal, onEvent: (event: PublishEvent) => onEvent(build, event) };
        const published = await publish({ children, tags }, registries, options);
        const duration = Math.round(performance.now() - start);
        log.info({ build, digest: published.descriptor.digest, tags: published.tags, duration }, 'published');
        await farm.record({ type: 'published', at: farm.now, build, ...published, duration });
      } catch (thrown) {
        if (signal.aborted) return;
        const error = toErrorInfo(thrown, 'registry-error');
        log.warn({ build, error }, 'could not publish');
        await farm.record({ type: 'publish-failed', at: farm.now, build, error });
      }
    });
  }

  /** Stops in the middle: what is under way is begun again when the coordinator comes back. */
  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  #run(work: (signal: AbortSignal) => Promise<void>): void {
    const running = work(this.#stop.signal)
      .catch((error: unknown) => this.#options.log.error({ err: error }, 'an outcome could not be stored'))
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }
}

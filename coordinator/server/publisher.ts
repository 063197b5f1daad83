/** Does what the farm asks of registries: reads pushed images back, and publishes lists. Outcomes go back as events. */
import { ChildAbort } from '../../shared/abort.ts';
import { attemptFields } from '../../shared/attempt.ts';
import { toErrorInfo, type ErrorCode } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { parsePlatform } from '../../shared/platform.ts';
import type { PublishEvent, WarningEvent } from '../../shared/progress.ts';
import { parseReference } from '../../shared/reference.ts';
import type { Timers } from '../../shared/timers.ts';
import type { DurableEvent, Effect } from '../farm/events.ts';
import type { Farm } from '../farm/farm.ts';
import { platformImage } from '../farm/task.ts';
import { untilStored, type Storing } from '../farm/until-stored.ts';
import { amendedPublication } from '../manifest/amended-list.ts';
import { requireDockerImage } from '../manifest/list.ts';
import { publish, type Published } from '../manifest/publish.ts';
import { Staging } from '../manifest/staging.ts';
import { verifyImage } from '../manifest/verify.ts';
import { attestationMode } from '../project/annotations.ts';
import type { BuildSpec } from '../project/spec.ts';
import type { Registries } from '../registry/registries.ts';

export interface PublisherOptions {
  readonly registries: Registries;
  readonly timers: Timers;
  readonly log: Logger;
  readonly onEvent: (build: string, event: PublishEvent | WarningEvent) => void;
  /** Its tags have moved; told again where the coordinator dies before that is stored. Never rejects. */
  readonly onPublished: (
    build: string,
    published: { readonly tags: readonly string[]; readonly digest: string },
  ) => Promise<void>;
}

type Timeless<Event> = Event extends unknown ? Omit<Event, 'at'> : never;
type Outcome = Timeless<
  Extract<DurableEvent, { type: 'verified' | 'failed' | 'moving' | 'published' | 'publish-failed' }>
>;

/** A build some of whose images have been reported. */
interface Staged {
  readonly staging: Staging;
  /** By `performance.now()`. */
  reportedAt: number;
}

/** What a rebuild would only meet again. */
const verdicts: ReadonlySet<ErrorCode> = new Set(['wrong-architecture', 'attestation-refused', 'usage']);

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #staged = new Map<string, Staged>();

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** An image of it is about to be reported. */
  expect(build: string, spec: BuildSpec): void {
    this.#stagedFor(build, spec).staging.look();
  }

  verify(farm: Farm, { attempt, image }: Extract<Effect, { type: 'verify' }>): void {
    const spec = farm.spec(attempt.build);
    if (spec === undefined) return;
    const about = { ...attemptFields(attempt), agent: farm.agentOf(attempt) };
    this.#run(farm, about, async (signal) => {
      const { registries, log } = this.#options;
      try {
        const staged = this.#stagedFor(attempt.build, spec);
        staged.reportedAt = performance.now();
        const { staging } = staged;
        staging.look();
        const reference = parseReference(platformImage(spec, attempt.platform));
        staging.anticipate(registries.repository(reference), image.digest);
        const asked = {
          reported: image,
          reference,
          platform: parsePlatform(attempt.platform),
          attestations: attestationMode(spec),
          isListed: (digest: string) => staging.isListed(digest),
        };
        const verified = await verifyImage(asked, registries, signal);
        // Other platforms may take hours, for a list that could not be made.
        if (spec.type === 'docker') requireDockerImage(verified);
        // What cannot be brought is no fault of the image: publishing tries again, and says what is wrong.
        staging.bring(verified).catch((thrown: unknown) => {
          const error = toErrorInfo(thrown, 'registry-error');
          log.info({ ...about, error }, 'an image is not there early');
        });
        return { type: 'verified', attempt, image: verified };
      } catch (thrown) {
        signal.throwIfAborted();
        const error = toErrorInfo(thrown, 'registry-error');
        log.warn({ ...about, error }, 'a reported image was refused');
        const kind = verdicts.has(error.code) ? 'build' : 'infrastructure';
        return { type: 'failed', attempt, outcome: 'failed', kind, error };
      }
    });
  }

  publish(farm: Farm, effect: Extract<Effect, { type: 'publish' }>): void {
    const { build, tags } = effect;
    const spec = farm.spec(build);
    if (spec === undefined) return;
    const start = this.#staged.get(build)?.reportedAt ?? performance.now();
    this.#run(farm, { build }, async (signal) => {
      const { registries, log, onPublished } = this.#options;
      let published: Published;
      try {
        const { staging } = this.#stagedFor(build, spec);
        const own = publicationOf(spec, effect);
        const origin = farm.origin(build);
        const onWarning = (message: string): void =>
          this.#tell(build, { type: 'warning', time: Date.now(), message });
        const publication =
          origin?.type === 'amend'
            ? await amendedPublication({ ...own, base: origin.base }, registries, signal)
            : own;
        published = await publish(publication, registries, {
          signal,
          staging,
          onEvent: (event) => this.#tell(build, event),
          onWarning,
          onMoving: (previous) =>
            this.#store(farm, { type: 'moving', build, previous }, { about: { build }, signal }),
        });
      } catch (thrown) {
        signal.throwIfAborted();
        const error = toErrorInfo(thrown, 'registry-error');
        log.warn({ build, error }, 'could not publish');
        this.#moved(tags);
        return { type: 'publish-failed', build, error };
      }
      // Its tags have moved: whatever fails from here on, it has not failed.
      const duration = Math.round(performance.now() - start);
      log.info({ build, digest: published.descriptor.digest, tags: published.tags, duration }, 'published');
      this.#moved(tags);
      await onPublished(build, { tags: published.tags, digest: published.descriptor.digest });
      return { type: 'published', build, ...published, duration };
    });
  }

  /** The build has ended: what is under way for it stops. */
  forget(build: string): void {
    const staged = this.#staged.get(build);
    this.#staged.delete(build);
    if (staged !== undefined) this.#keep({ build }, staged.staging[Symbol.asyncDispose]());
  }

  /** Stops in the middle: what is under way is begun again when the coordinator comes back. */
  async close(): Promise<void> {
    this.#stop.abort();
    for (const build of this.#staged.keys()) this.forget(build);
    await Promise.all(this.#running);
  }

  #stagedFor(build: string, { tags }: BuildSpec): Staged {
    const known = this.#staged.get(build);
    if (known !== undefined) return known;
    const staging = new Staging(tags, {
      registries: this.#options.registries,
      signal: this.#stop.signal,
      // A build that has ended has an ended log.
      onEvent: (event) => this.#staged.has(build) && this.#tell(build, event),
    });
    const staged = { staging, reportedAt: performance.now() };
    this.#staged.set(build, staged);
    return staged;
  }

  /** Into the build's log, which may have no place: what is published is worth more than that. */
  #tell(build: string, event: PublishEvent | WarningEvent): void {
    try {
      this.#options.onEvent(build, event);
    } catch (err) {
      this.#options.log.warn({ build, err, event }, 'the log of a build lacks an event of its publication');
    }
  }

  /** Other builds that have read them read them again. */
  #moved(tags: readonly string[]): void {
    for (const { staging } of this.#staged.values()) staging.forget(tags);
  }

  /** Stores what comes of the work. `about`: for the log. */
  #run(farm: Farm, about: object, work: (signal: AbortSignal) => Promise<Outcome>): void {
    const run = async (): Promise<void> => {
      using stop = new ChildAbort(this.#stop.signal);
      const outcome = await work(stop.signal);
      await this.#store(farm, outcome, { about, signal: stop.signal });
    };
    this.#keep(about, run());
  }

  #keep(about: object, work: Promise<void>): void {
    const running = work
      .catch((err: unknown) => {
        if (!this.#stop.signal.aborted) this.#options.log.error({ ...about, err }, 'an outcome is lost');
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  #store(farm: Farm, outcome: Outcome, call: Pick<Storing, 'about' | 'signal'>): Promise<void> {
    const { timers, log } = this.#options;
    return untilStored(() => farm.record({ ...outcome, at: farm.now }), { timers, log, ...call });
  }
}

function publicationOf(
  spec: BuildSpec,
  { children, tags, previous }: Extract<Effect, { type: 'publish' }>,
): Parameters<typeof publish>[0] {
  const { platforms, type, annotations, childTags, force } = spec;
  return { children, tags, platforms, type, annotations, childTags, force, previous };
}

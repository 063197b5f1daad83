/**
 * What registries would say to a build's result, asked before anything is built: the alternative is to hear it after an
 * hour. What is asked leaves nothing behind.
 */
import { reasonOf } from '../../shared/abort.ts';
import { ArchfarmError, toErrorInfo, type ErrorInfo } from '../../shared/errors.ts';
import { formatPlatform, parsePlatform } from '../../shared/platform.ts';
import { parseReference } from '../../shared/reference.ts';
import { platformImage } from '../farm/task.ts';
import { lostPlatforms, platformLoss } from '../manifest/platform-loss.ts';
import { finalTag, readTag, tagName, type FinalTag } from '../manifest/tags.ts';
import type { BuildSpec } from '../project/spec.ts';
import { canPush } from '../registry/preflight.ts';
import type { Registries } from '../registry/registries.ts';
import type { Repository } from '../registry/repository.ts';
import { GoodAnswers, type AskOptions } from './good-answers.ts';

/** `platforms`: those that the list will have, optional ones with them. `force`: a tag may lose platforms. */
export type PreflightRequest = Pick<BuildSpec, 'tags' | 'platforms' | 'suffix' | 'force'>;

export interface RepositoryFinding {
  /** With its registry. */
  readonly repository: string;
  readonly error?: unknown;
}

export interface TagFinding {
  readonly tag: string;
  /** What it has today, formatted; undefined where there is no such tag. */
  readonly platforms?: readonly string[] | undefined;
  /** Why it could not be read, or not be moved. */
  readonly error?: unknown;
}

export interface Findings {
  /** Those of the platforms' images first. */
  readonly repositories: readonly RepositoryFinding[];
  readonly tags: readonly TagFinding[];
}

export interface PreflightTiming {
  /** Milliseconds for a registry to answer everything that it is asked. */
  readonly patience: number;
  /** Milliseconds that a good answer is believed. */
  readonly memory: number;
}

const defaultTiming: PreflightTiming = { patience: 15_000, memory: 60_000 };
export class Preflight {
  readonly #registries: Registries;
  readonly #timing: PreflightTiming;
  readonly #answers: GoodAnswers;

  constructor(registries: Registries, timing: PreflightTiming = defaultTiming) {
    this.#registries = registries;
    this.#timing = timing;
    this.#answers = new GoodAnswers(timing.memory);
  }

  /**
   * Throws what would keep the build from being published: `registry-denied`, `registry-unreachable`, `registry-error`
   * or `platform-loss`. What was found good a moment ago, or is just being asked, is not asked again.
   */
  async check(request: PreflightRequest, signal: AbortSignal): Promise<void> {
    const { repositories, tags } = await this.#ask(request, { signal, believe: true });
    const found = [...repositories, ...tags].find(({ error }) => error !== undefined);
    if (found !== undefined) throw found.error;
  }

  /** Everything, for somebody to read; asked anew. */
  look(request: PreflightRequest, signal: AbortSignal): Promise<Findings> {
    return this.#ask(request, { signal, believe: false });
  }

  async #ask(request: PreflightRequest, { signal, believe }: AskOptions): Promise<Findings> {
    const targets = this.#targets(request);
    const wanted = request.platforms.map((platform) => formatPlatform(parsePlatform(platform)));
    const asked = await Promise.all(
      targets.map(async (target) => {
        const { repository, tags } = target;
        // A registry that takes no push need not be asked for the tags, which has more patience.
        const refused = new AbortController();
        const [error, ...found] = await Promise.all([
          this.#answers
            .ask(`push ${repository.fullName}`, { signal, believe }, (signal) =>
              this.#patiently(repository, signal, (patient) => this.#mayPush(target, patient)),
            )
            .then(noError, (thrown: unknown) => {
              refused.abort(thrown);
              return thrown;
            }),
          ...tags.map((tag) =>
            this.#tag(tag, {
              wanted,
              force: request.force,
              believe,
              signal: AbortSignal.any([signal, refused.signal]),
            }),
          ),
        ]);
        return { finding: { repository: repository.fullName, error }, tags: found };
      }),
    );
    signal.throwIfAborted();
    return {
      repositories: asked.map(({ finding }) => finding),
      tags: asked.flatMap(({ tags }) => tags),
    };
  }

  /** Every repository once. */
  #targets({ tags, platforms, suffix }: PreflightRequest): readonly Target[] {
    const targets = new Map<string, { repository: Repository; byAgents: boolean; tags: FinalTag[] }>();
    for (const platform of tags.length > 0 ? platforms : []) {
      const repository = this.#registries.repository(
        parseReference(platformImage({ tags, suffix }, platform)),
      );
      targets.set(repository.fullName, { repository, byAgents: true, tags: [] });
    }
    for (const text of tags) {
      const tag = finalTag(text, this.#registries);
      const { repository } = tag;
      const known = targets.get(repository.fullName) ?? { repository, byAgents: false, tags: [] };
      known.tags.push(tag);
      targets.set(repository.fullName, known);
    }
    return [...targets.values()];
  }

  async #mayPush({ repository, byAgents }: Target, signal: AbortSignal): Promise<void> {
    await canPush(repository, signal);
    if (!byAgents || (await repository.client.scheme(signal)) !== 'basic') return;
    // Throws where agents are given no passwords.
    await this.#registries.pushAuth({ push: [repository.fullName], pull: [] }, signal);
  }

  async #tag(
    tag: FinalTag,
    options: AskOptions & { readonly wanted: readonly string[]; readonly force: boolean },
  ): Promise<TagFinding> {
    const { wanted, force } = options;
    const name = tagName(tag);
    let platforms: readonly string[] | undefined;
    try {
      await this.#answers.ask(`tag ${name} ${wanted.toSorted().join()} ${force}`, options, async (signal) => {
        const state = await this.#patiently(tag.repository, signal, (patient) => readTag(tag, patient));
        if (state.manifest !== undefined) platforms = state.platforms;
        const lost = lostPlatforms(state.platforms, wanted);
        if (lost.length > 0 && !force) throw platformLoss(name, lost);
      });
      return { tag: name, platforms };
    } catch (error) {
      return { tag: name, platforms, error };
    }
  }

  async #patiently<T>(
    repository: Repository,
    signal: AbortSignal,
    ask: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const limit = AbortSignal.timeout(this.#timing.patience);
    try {
      return await ask(AbortSignal.any([signal, limit]));
    } catch (error) {
      if (signal.aborted) throw reasonOf(signal);
      if (!limit.aborted) throw error;
      const { host } = repository.client.endpoint;
      const seconds = this.#timing.patience / 1000;
      throw new ArchfarmError(
        'registry-unreachable',
        `registry ${host} did not say within ${seconds} s whether ${repository.fullName} may be pushed to`,
        { hint: `check that ${host} can be reached from the coordinator, and that it is well`, cause: error },
      );
    }
  }
}

/** Findings as they travel. */
export interface ReportedFindings {
  readonly repositories: readonly { readonly repository: string; readonly error?: ErrorInfo | undefined }[];
  readonly tags: readonly {
    readonly tag: string;
    readonly platforms?: readonly string[] | undefined;
    readonly error?: ErrorInfo | undefined;
  }[];
}

export function reported({ repositories, tags }: Findings): ReportedFindings {
  return {
    repositories: repositories.map(({ repository, error }) => ({ repository, error: reportedError(error) })),
    tags: tags.map(({ tag, platforms, error }) => ({ tag, platforms, error: reportedError(error) })),
  };
}

function reportedError(error: unknown): ErrorInfo | undefined {
  return error === undefined ? undefined : toErrorInfo(error, 'registry-error');
}

interface Target {
  readonly repository: Repository;
  /** Agents push there, the coordinator alone elsewhere. */
  readonly byAgents: boolean;
  readonly tags: readonly FinalTag[];
}

function noError(): undefined {
  return undefined;
}

/** What the API does: each action checks what it was given and hands it to the part that it concerns. */
import { delay } from '../../shared/abort.ts';
import type { StoreUsage } from '../../shared/context/store-usage.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { parsePlatform, formatPlatform } from '../../shared/platform.ts';
import type { BuildResult, BuildStatus, Frame } from '../../shared/progress.ts';
import { treeRoots } from '../../shared/task.ts';
import { checkTogether } from '../context/additional-contexts.ts';
import type { Contexts, PreparedContext } from '../context/contexts.ts';
import type { AgentView } from '../farm/agent-state.ts';
import type { Farm } from '../farm/farm.ts';
import type { BuildSpec } from '../project/spec.ts';
import type { FrameLog } from '../store/frames.ts';
import { reported, type Preflight } from './preflight.ts';
import type { ApiActions, Plan, PlanRequest, Submission } from './routes.ts';
import type { Secrets } from './secrets.ts';
import { normalizeSpec } from './spec-schema.ts';

export interface ActionParts {
  readonly farm: Farm;
  readonly frames: FrameLog;
  readonly contexts: Contexts;
  readonly secrets: Secrets;
  readonly preflight: Preflight;
}

/** Milliseconds between two looks at who is connected, while a build without platforms waits for an agent. */
const lookAgain = 100;

export class Actions implements ApiActions {
  readonly #parts: ActionParts;

  constructor(parts: ActionParts) {
    this.#parts = parts;
  }

  async submit(submission: Submission, signal: AbortSignal): Promise<string> {
    const { farm, contexts, secrets } = this.#parts;
    const spec = await this.#withPlatforms(normalizeSpec(submission.spec), signal);
    const missing = spec.secrets.find((id) => !submission.secrets.has(id));
    if (missing !== undefined)
      throw new ArchfarmError('usage', `secret ${JSON.stringify(missing)} came without a value`);
    const { client, idempotencyKey } = submission;
    const prepared = await this.#prepare(spec, submission, signal);
    let id: string | undefined;
    // Its contents and secrets may be asked for as soon as it is stored.
    const onId = (build: string): void => {
      id = build;
      contexts.adopt(build, prepared);
      if (submission.secrets.size > 0) secrets.supply(build, submission.secrets);
    };
    try {
      return await farm.submit(spec, { client, idempotencyKey, onId });
    } catch (error) {
      if (id !== undefined) {
        contexts.release(id);
        secrets.forget(id);
      }
      throw error;
    }
  }

  builds(query: { limit: number; before?: string; status?: BuildStatus }): Promise<readonly BuildResult[]> {
    return this.#parts.farm.builds(query);
  }

  async build(id: string): Promise<BuildResult> {
    const { farm } = this.#parts;
    const exact = await farm.build(id);
    if (exact !== undefined) return exact;
    const [first, second] = await farm.find(id);
    const found = first === undefined ? undefined : await farm.build(first);
    if (found === undefined)
      throw new ArchfarmError('not-found', `no build ${id}`, { hint: 'archfarm builds lists them' });
    if (second === undefined) return found;
    throw new ArchfarmError('not-found', `${id} is the beginning of several builds`, {
      hint: `${first}, ${second} … : give more of the id`,
    });
  }

  async show(id: string, signal: AbortSignal): Promise<BuildResult> {
    const result = await this.build(id);
    const missing = await this.#parts.contexts.missing(result.build, signal);
    if (missing === undefined) return result;
    return { ...result, context: { ...result.context, complete: missing.files === 0, missing } };
  }

  frames(
    build: string,
    options: { after: number; follow: boolean; signal: AbortSignal },
  ): AsyncIterable<Frame> {
    const { frames } = this.#parts;
    const { after, follow, signal } = options;
    if (!frames.has(build)) throw new ArchfarmError('not-found', `the log of build ${build} is gone`);
    return follow ? frames.follow(build, after, signal) : frames.read(build, after);
  }

  async cancel(build: string, reason: string): Promise<void> {
    const { farm } = this.#parts;
    await farm.record({
      type: 'cancelled',
      at: farm.now,
      build,
      error: { code: 'cancelled', message: reason },
    });
  }

  async supplySecrets(build: string, values: ReadonlyMap<string, Buffer>): Promise<void> {
    const { farm, secrets } = this.#parts;
    if (farm.isOpen(build)) secrets.supply(build, values);
  }

  complete(build: string, signal: AbortSignal): Promise<void> {
    return this.#parts.contexts.complete(build, signal);
  }

  agents(): readonly AgentView[] {
    return this.#parts.farm.agents();
  }

  contextStore(): StoreUsage {
    return this.#parts.contexts.usage();
  }

  async plan(request: PlanRequest, signal: AbortSignal): Promise<Plan> {
    const { platforms, allowEmulation, tags = [], suffix = 'repo', force = false } = request;
    const agents = this.#parts.farm.agents().filter(({ state }) => state !== 'offline');
    const asked = platforms.map((platform) => formatPlatform(parsePlatform(platform)));
    const wanted = asked.length > 0 ? asked : nativePlatforms(agents);
    const found = await this.#parts.preflight.look({ tags, suffix, force, platforms: wanted }, signal);
    return {
      platforms: wanted.map((platform) => {
        const able = agents.flatMap(({ name, platforms: offered }) =>
          offered.filter((offer) => offer.platform === platform).map(({ native }) => ({ name, native })),
        );
        return {
          platform,
          candidates: able.filter(({ native }) => native || allowEmulation),
          emulators: able.filter(({ native }) => !native && !allowEmulation).map(({ name }) => name),
        };
      }),
      ...reported(found),
    };
  }

  /** Registries are asked meanwhile: whichever fails first ends the other. */
  async #prepare(
    spec: BuildSpec,
    { directories, link, client }: Submission,
    signal: AbortSignal,
  ): Promise<PreparedContext> {
    const { contexts, preflight } = this.#parts;
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    const prepare = async (): Promise<PreparedContext> => {
      await contexts.add(directories);
      const prepared = await contexts.prepare({ roots: treeRoots(spec), link, client }, either);
      if (spec.contexts.length > 0) checkTogether(prepared.trees);
      return prepared;
    };
    try {
      const [prepared] = await Promise.all([prepare(), preflight.check(spec, either)]);
      return prepared;
    } catch (error) {
      stop.abort(error);
      throw error;
    }
  }

  /** A build that names no platform is for all that somebody is there to build natively. */
  async #withPlatforms(spec: BuildSpec, signal: AbortSignal): Promise<BuildSpec> {
    if (spec.platforms.length > 0) return spec;
    const until = Date.now() + spec.waitAgent;
    for (;;) {
      const platforms = nativePlatforms(this.agents().filter(({ state }) => state === 'ready'));
      if (platforms.length > 0) return normalizeSpec({ ...spec, platforms });
      if (Date.now() >= until) {
        throw new ArchfarmError('no-agent', 'no agent is connected, and the build names no platform', {
          hint: 'start archfarm-agent on a host, or name platforms with --platform',
        });
      }
      await delay(lookAgain, signal);
    }
  }
}

function nativePlatforms(agents: readonly AgentView[]): string[] {
  const native = agents.flatMap(({ platforms }) => platforms.filter((offer) => offer.native));
  return [...new Set(native.map(({ platform }) => platform))].toSorted();
}

/** What the API does: each action checks what it was given and hands it to the part that it concerns. */
import { delay } from '../../shared/abort.ts';
import type { StoreUsage } from '../../shared/context/store-usage.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import type { BuildResult } from '../../shared/progress.ts';
import { formatReference, parseReference, withDefaultTag } from '../../shared/reference.ts';
import { checkTogether } from '../context/additional-contexts.ts';
import type { Contexts, PreparedContext } from '../context/contexts.ts';
import { requireGiven, type FollowUp } from '../farm/amend.ts';
import type { Farm } from '../farm/farm.ts';
import { specTrees } from '../farm/task.ts';
import type { BuildSpec } from '../project/spec.ts';
import { requireRepositories } from '../trust/access.ts';
import type { Admission } from './admission.ts';
import { AgentActions, type AgentParts } from './agent-actions.ts';
import type { ListOptions } from '../store/store.ts';
import type { ApiActions, Continuation, Plan, PlanRequest, Submission } from './api-actions.ts';
import type { FrameLog } from '../store/frames.ts';
import type { FarmFeed } from './farm-feed.ts';
import type { AmendRequest, CheckedFollowUp, FollowUps } from './follow-ups.ts';
import { isLabelled, nativePlatforms, planFor } from './plan.ts';
import { reported, type Preflight } from './preflight.ts';
import { repeatFlags } from './repeat.ts';
import { requireFitting, type Secrets } from './secrets.ts';
import { normalizeSpec } from './spec-schema.ts';

export interface ActionParts extends AgentParts {
  readonly farm: Farm;
  readonly frames: FrameLog;
  readonly feed: FarmFeed;
  readonly contexts: Contexts;
  readonly secrets: Secrets;
  readonly preflight: Preflight;
  readonly followUps: FollowUps;
  readonly admission: Admission;
}

type Wanted = Pick<FollowUp, 'spec'> & Partial<FollowUp>;
type Submitter = Omit<Submission, 'spec' | 'directories'>;

interface Start extends Wanted {
  readonly prepared: PreparedContext;
  /** Throws what is in its way as it gets its number. */
  readonly check?: () => void;
}

/** Milliseconds between two looks at who is connected, while a build without platforms waits for an agent. */
const lookAgain = 100;

export class Actions implements ApiActions {
  readonly agents: AgentActions;
  readonly #parts: ActionParts;

  constructor(parts: ActionParts) {
    this.#parts = parts;
    this.agents = new AgentActions(parts);
  }

  async submit(submission: Submission, signal: AbortSignal): Promise<string> {
    const known = await this.#known(submission);
    if (known !== undefined) return this.#toldAgain(known, submission);
    requireRepositories(submission.principal, submission.spec.tags);
    using _place = await this.#parts.admission.enter(submission.client);
    const spec = await this.#withPlatforms(normalizeSpec(submission.spec), signal);
    requireFitting(spec.secrets, submission.secrets);
    const missing = spec.secrets.find((id) => !submission.secrets.has(id));
    if (missing !== undefined)
      throw new ArchfarmError('usage', `secret ${JSON.stringify(missing)} came without a value`);
    using _kept = await this.#parts.contexts.keepRecent();
    const prepared = await this.#prepare({ spec }, submission, signal);
    // Awaited here: its place is kept until it is stored.
    return await this.#start({ spec, prepared }, submission);
  }

  async retry(build: string, continuation: Continuation, signal: AbortSignal): Promise<string> {
    return this.#goOn(continuation, signal, async () =>
      this.#parts.followUps.retry(await this.build(build), signal),
    );
  }

  async amend(
    build: string,
    { request, continuation }: { readonly request: AmendRequest; readonly continuation: Continuation },
    signal: AbortSignal,
  ): Promise<string> {
    return this.#goOn(continuation, signal, async () =>
      this.#parts.followUps.amend(await this.build(build), request, signal),
    );
  }

  async publisher(reference: string): Promise<BuildResult> {
    const { farm } = this.#parts;
    const tag = formatReference(withDefaultTag(parseReference(reference)));
    const build = await farm.publisher(tag);
    const result = build === undefined ? undefined : await farm.build(build);
    if (result !== undefined) return result;
    throw new ArchfarmError('not-found', `no build of this coordinator has published ${tag}`, {
      hint: 'archfarm builds lists them; archfarm build publishes it',
    });
  }

  pathOf(build: string, digest: string, signal: AbortSignal): Promise<string | undefined> {
    return this.#parts.contexts.pathOf(build, digest, signal);
  }

  async #goOn(
    continuation: Continuation,
    signal: AbortSignal,
    decide: () => Promise<CheckedFollowUp>,
  ): Promise<string> {
    const { farm, frames, followUps } = this.#parts;
    const { secrets, ssh } = continuation;
    const known = await this.#known(continuation);
    if (known !== undefined) return this.#toldAgain(known, continuation);
    using _place = await this.#parts.admission.enter(continuation.client);
    using _kept = await this.#parts.contexts.keepRecent();
    const checked = await decide();
    const { spec, carried = {} } = checked;
    requireRepositories(continuation.principal, spec.tags);
    requireFitting(spec.secrets, secrets);
    if (spec.platforms.some((platform) => carried[platform] === undefined)) {
      requireGiven(spec, { secrets: [...secrets.keys()], ssh });
    }
    const prepared = await this.#prepare(checked, { ...continuation, directories: [] }, signal);
    // Registries took their time, in which it may have been told twice: that is no newer build.
    const stored = await this.#known(continuation);
    if (stored !== undefined) return this.#toldAgain(stored, continuation);
    const followUp = await followUps.again(checked);
    const check = (): void => followUps.requireNewest(followUp);
    const build = await this.#start({ ...followUp, prepared, check }, continuation);
    const events = followUp.warnings.map(
      (message) => ({ type: 'warning', time: Date.now(), message }) as const,
    );
    if (events.length > 0 && farm.isOpen(build)) frames.append(build, { events });
    return build;
  }

  async #start({ spec, origin, carried, prepared, check }: Start, submission: Submitter): Promise<string> {
    const { farm, contexts, secrets } = this.#parts;
    const { client, idempotencyKey } = submission;
    let id: string | undefined;
    // Its contents and secrets may be asked for as soon as it is stored.
    const onId = (build: string): void => {
      check?.();
      id = build;
      contexts.adopt(build, prepared);
      if (submission.secrets.size > 0) secrets.supply(build, submission.secrets);
    };
    try {
      const build = await farm.submit(spec, { client, idempotencyKey, onId, origin, carried });
      return build === id ? build : await this.#toldAgain(build, submission);
    } catch (error) {
      if (id !== undefined) {
        contexts.release(id);
        secrets.forget(id);
      }
      throw error;
    }
  }

  /** The build that was accepted under this key: whatever a new one is checked against may be otherwise by now. */
  async #known({ idempotencyKey: key }: Pick<Submission, 'idempotencyKey'>): Promise<string | undefined> {
    return key === undefined ? undefined : this.#parts.farm.submittedWith(key);
  }

  /** One that was stored before: a coordinator that restarted has forgotten its client, and the values of its secrets. */
  async #toldAgain(build: string, { link, secrets }: Pick<Submission, 'link' | 'secrets'>): Promise<string> {
    if (link !== undefined) this.#parts.contexts.comesBy(build, link);
    await this.supplySecrets(build, secrets);
    return build;
  }

  builds(query: ListOptions): Promise<readonly BuildResult[]> {
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
    const { farm, contexts } = this.#parts;
    const found = await this.build(id);
    const spec = farm.spec(found.build) ?? (await farm.remains(found.build))?.spec;
    const result = spec === undefined ? found : { ...found, repeat: repeatFlags(spec) };
    const missing = await contexts.missing(result.build, signal);
    if (missing === undefined) return result;
    return { ...result, context: { ...result.context, complete: missing.files === 0, missing } };
  }

  async frames(
    build: string,
    options: { after: number; follow: boolean; signal: AbortSignal },
  ): Promise<AsyncIterable<Buffer>> {
    const { farm, frames } = this.#parts;
    const { after, follow, signal } = options;
    const result = farm.isOpen(build) ? undefined : await farm.archived(build);
    if (!frames.has(build)) throw new ArchfarmError('not-found', `the log of build ${build} is gone`);
    // Logs are not flushed as the archive is: a power cut may have taken the end, which nothing else would bring.
    if (result !== undefined) {
      const time = result.created + result.timings.total;
      frames.append(build, { events: [{ type: 'result', time, result }] });
    }
    return follow ? frames.follow(build, after, signal) : frames.read(build, after);
  }

  watch(signal: AbortSignal): AsyncIterable<Buffer> {
    return this.#parts.feed.follow(signal);
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
    const spec = farm.isOpen(build) ? farm.spec(build) : undefined;
    if (spec === undefined) return;
    requireFitting(spec.secrets, values);
    secrets.supply(build, values);
  }

  complete(build: string, signal: AbortSignal): Promise<void> {
    return this.#parts.contexts.complete(build, signal);
  }

  contextStore(): StoreUsage {
    return this.#parts.contexts.usage();
  }

  async plan(request: PlanRequest, signal: AbortSignal): Promise<Plan> {
    const { tags = [], suffix = 'repo', force = false } = request;
    const platforms = planFor(this.agents.list(), request);
    const wanted = platforms.map(({ platform }) => platform);
    const found = await this.#parts.preflight.look({ tags, suffix, force, platforms: wanted }, signal);
    return { platforms, ...reported(found) };
  }

  /** Registries are asked meanwhile: whichever fails first ends the other. */
  async #prepare(
    { spec, origin, carried = {} }: Wanted,
    { directories, link, client }: Omit<Submission, 'spec'>,
    signal: AbortSignal,
  ): Promise<PreparedContext> {
    const { contexts, preflight } = this.#parts;
    const isBuilt = spec.platforms.some((platform) => carried[platform] === undefined);
    // A list that gets more platforms loses none of those it has.
    const force = spec.force || origin?.type === 'amend';
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    const prepare = async (): Promise<PreparedContext> => {
      await contexts.add(directories);
      const prepared = await contexts.prepare(
        { trees: isBuilt ? specTrees(spec) : [], link, client },
        either,
      );
      if (spec.contexts.length > 0) checkTogether(prepared.trees);
      return prepared;
    };
    try {
      const [prepared] = await Promise.all([prepare(), preflight.check({ ...spec, force }, either)]);
      return prepared;
    } catch (error) {
      stop.abort(error);
      throw error;
    }
  }

  /** A build that names no platform is for all that somebody is there to build natively. */
  async #withPlatforms(spec: BuildSpec, signal: AbortSignal): Promise<BuildSpec> {
    if (spec.platforms.length > 0) return spec;
    const until = performance.now() + spec.waitAgent;
    for (;;) {
      const platforms = nativePlatforms(
        this.agents.list().filter((agent) => agent.state === 'ready' && isLabelled(agent, spec.agentLabels)),
      );
      if (platforms.length > 0)
        return normalizeSpec({ ...spec, platforms: [...platforms, ...spec.optional] });
      if (performance.now() >= until) {
        throw new ArchfarmError('no-agent', 'no agent is connected, and the build names no platform', {
          hint: 'start archfarm-agent on a host, or name platforms with --platform',
        });
      }
      await delay(lookAgain, signal);
    }
  }
}

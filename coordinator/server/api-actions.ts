/** What the API lets clients do, whatever it travels by. */
import type { StoreUsage } from '../../shared/context/store-usage.ts';
import type { Demand } from '../../shared/policy.ts';
import type { BuildResult } from '../../shared/progress.ts';
import type { BuildSpec } from '../project/spec.ts';
import type { Principal } from '../trust/principal.ts';
import type { ListOptions } from '../store/store.ts';
import type { AgentActions } from './agent-actions.ts';
import type { AmendRequest } from './follow-ups.ts';
import type { ReportedFindings } from './preflight.ts';

export interface Submission {
  readonly spec: BuildSpec;
  readonly secrets: ReadonlyMap<string, Buffer>;
  readonly link: string | undefined;
  /** Records of directories of its trees, as many as the client thought worth sending along. */
  readonly directories: readonly Buffer[];
  readonly idempotencyKey: string | undefined;
  /** A user's name, or what the client calls itself, as `user@host`, or else the address it came from. */
  readonly client: string;
  readonly principal: Principal;
}

/** What a client gives to a build that goes on from another one. */
export interface Continuation extends Pick<
  Submission,
  'secrets' | 'link' | 'idempotencyKey' | 'client' | 'principal'
> {
  /** Ids of the ssh agents that it forwards. */
  readonly ssh: readonly string[];
}

export interface PlanRequest {
  /** Formatted or not; empty means every platform that a connected agent has natively. */
  readonly platforms: readonly string[];
  readonly allowEmulation: boolean;
  /** What the registries of these would say is part of the plan. */
  readonly tags?: readonly string[] | undefined;
  readonly suffix?: BuildSpec['suffix'] | undefined;
  readonly force?: boolean | undefined;
  /** Only agents that have all of these. */
  readonly agentLabels?: BuildSpec['agentLabels'] | undefined;
  /** By platform, and for others under `*`: what the build asks of engines. */
  readonly demands?: Readonly<Record<string, readonly Demand[]>> | undefined;
}

export interface Plan extends ReportedFindings {
  readonly platforms: readonly {
    readonly platform: string;
    readonly candidates: readonly { readonly name: string; readonly native: boolean }[];
    /** Agents that could, were emulation allowed. */
    readonly emulators: readonly string[];
    /** Agents that could, did their policy not refuse these. */
    readonly refusing: readonly { readonly name: string; readonly refused: readonly Demand[] }[];
  }[];
}

/** What the API lets a client do. */
export interface ApiActions {
  submit(submission: Submission, signal: AbortSignal): Promise<string>;
  builds(query: ListOptions): Promise<readonly BuildResult[]>;
  /** `id` may be abbreviated as long as it is unique; throws `not-found`. */
  build(id: string): Promise<BuildResult>;
  /** The same, with what the coordinator lacks of the context while the build goes on. */
  show(id: string, signal: AbortSignal): Promise<BuildResult>;
  /** Whole lines of JSON, a frame each. Throws `not-found` where the log is gone. */
  frames(
    build: string,
    options: { after: number; follow: boolean; signal: AbortSignal },
  ): Promise<AsyncIterable<Buffer>>;
  /** What goes on in the farm, as whole lines of JSON: each a `FeedLine`. */
  watch(signal: AbortSignal): AsyncIterable<Buffer>;
  cancel(build: string, reason: string): Promise<void>;
  supplySecrets(build: string, secrets: ReadonlyMap<string, Buffer>): Promise<void>;
  /** Resolves once the build needs its client no more; throws what is in the way of that. */
  complete(build: string, signal: AbortSignal): Promise<void>;
  /** These give the id of the build that goes on from it. */
  retry(build: string, continuation: Continuation, signal: AbortSignal): Promise<string>;
  amend(
    build: string,
    asked: { readonly request: AmendRequest; readonly continuation: Continuation },
    signal: AbortSignal,
  ): Promise<string>;
  /** The latest build that published this reference; throws `not-found`. */
  publisher(reference: string): Promise<BuildResult>;
  /** What a file of the build's trees is called, while the build goes on. */
  pathOf(build: string, digest: string, signal: AbortSignal): Promise<string | undefined>;
  readonly agents: AgentActions;
  contextStore(): StoreUsage;
  plan(request: PlanRequest, signal: AbortSignal): Promise<Plan>;
}

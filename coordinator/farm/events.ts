/**
 * What the farm's state machine takes and gives. Durable events are on disk before their effects happen;
 * volatile ones only move deadlines and come back by themselves after a restart.
 */
import type { AttemptId } from '../../shared/attempt.ts';
import type { StoreUsage } from '../../shared/context/store-usage.ts';
import type { Digest } from '../../shared/context/tree.ts';
import type { DiskSpace } from '../../shared/disk-space.ts';
import type { ErrorInfo } from '../../shared/errors.ts';
import type { Policy } from '../../shared/policy.ts';
import type { Hello } from '../../shared/messages.ts';
import type { ProcessUsage } from '../../shared/process-usage.ts';
import type { ProofResult } from '../../shared/proof.ts';
import type { BuildResult, Descriptor, StateEvent, Timings } from '../../shared/progress.ts';
import type { PushedImage } from '../../shared/task.ts';
import type { BuildSpec } from '../project/spec.ts';

export interface NewBuild {
  readonly id: string;
  /** Order of submission at this coordinator; decides who may write a tag. */
  readonly sequence: number;
  /** With its platforms resolved: never empty. */
  readonly spec: BuildSpec;
  /** Who asked, for display. */
  readonly client: string;
  /** Two submissions with the same key are one build. */
  readonly idempotencyKey?: string | undefined;
  /** The build that this one goes on from. */
  readonly origin?: Origin | undefined;
  /** Verified images that the origin left, by platform: these are not built. */
  readonly carried?: Readonly<Record<string, VerifiedImage>> | undefined;
}

/** A retry builds what failed of a build; an amendment adds platforms to the list that a build published. */
export interface Origin {
  readonly type: 'retry' | 'amend';
  readonly build: string;
  /** Digest of the list that an amendment adds to; absent in builds that an older coordinator stored. */
  readonly base?: string | undefined;
}

/** What is kept of a build that has ended beside its result: enough to go on from it. */
export interface Remains extends Pick<NewBuild, 'sequence' | 'spec' | 'origin'> {
  /** By platform. */
  readonly images: Readonly<Record<string, VerifiedImage>>;
}

/** A platform image that the coordinator has read back from the registry and found right. */
export interface VerifiedImage {
  /** The repository it lies in, with registry: `host/onap/py-app-arm64v8`. */
  readonly repository: string;
  readonly descriptor: Descriptor;
  readonly config: Digest;
  readonly platform: {
    readonly os: string;
    readonly architecture: string;
    readonly variant?: string | undefined;
    readonly osVersion?: string | undefined;
    readonly osFeatures?: readonly string[] | undefined;
  };
  /** Contents that must be in every final repository: config and layers, without foreign ones. */
  readonly blobs: readonly Descriptor[];
  /** Kept beside it in the published list. */
  readonly attestations?: readonly Attestation[] | undefined;
}

/** A manifest that says something of an image: provenance, a bill of materials. Lies where the image does. */
export interface Attestation {
  readonly descriptor: Descriptor;
  /** They say which image it is about. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly blobs: readonly Descriptor[];
}

interface At {
  /** Milliseconds since 1970, by the coordinator's clock. */
  readonly at: number;
}

export type DurableEvent = At &
  (
    | { readonly type: 'submitted'; readonly build: NewBuild }
    | {
        readonly type: 'offered';
        readonly attempt: AttemptId;
        readonly agent: string;
        readonly session: string;
        readonly native: boolean;
      }
    | { readonly type: 'accepted'; readonly attempt: AttemptId }
    /** An attempt that had been given up counts again: its agent is back, and still has it. */
    | { readonly type: 'resumed'; readonly attempt: AttemptId }
    /** The agent pushed; nothing is believed yet. */
    | { readonly type: 'reported'; readonly attempt: AttemptId; readonly image: PushedImage }
    | { readonly type: 'verified'; readonly attempt: AttemptId; readonly image: VerifiedImage }
    /** An attempt ended without an image. `build` errors end the task; others may be tried again. */
    | {
        readonly type: 'failed';
        readonly attempt: AttemptId;
        readonly outcome: 'failed' | 'lost' | 'cancelled' | 'declined';
        readonly kind: 'build' | 'infrastructure';
        readonly error: ErrorInfo;
        readonly timings?: Timings | undefined;
        readonly sentBytes?: number | undefined;
      }
    /** The attempt's agent was removed: neither what it brought counts nor what it may still say. */
    | { readonly type: 'voided'; readonly attempt: AttemptId; readonly error: ErrorInfo }
    /** A task ended without an attempt that could: no agent in time, say. */
    | {
        readonly type: 'abandoned';
        readonly build: string;
        readonly platform: string;
        readonly error: ErrorInfo;
      }
    /** A user asked; the error's code is `cancelled`. Too late once the build is publishing. */
    | { readonly type: 'cancelled'; readonly build: string; readonly error: ErrorInfo }
    /** The intent to move these tags, those of the build that no newer build has published. */
    | { readonly type: 'publishing'; readonly build: string; readonly tags: readonly string[] }
    /** Before the first of several tags moves: what they go back to if another fails. Those that do not exist are not here. */
    | {
        readonly type: 'moving';
        readonly build: string;
        readonly previous: Readonly<Record<string, string>>;
      }
    /** Newer builds have published every tag of this one: nothing is left to publish. */
    | { readonly type: 'superseded'; readonly build: string }
    | {
        readonly type: 'published';
        readonly build: string;
        readonly descriptor: Descriptor;
        readonly tags: readonly string[];
        /** Milliseconds from the last reported child to the tag read back. */
        readonly duration: number;
      }
    | { readonly type: 'publish-failed'; readonly build: string; readonly error: ErrorInfo }
    /** How what was published runs, by platform. */
    | {
        readonly type: 'proved';
        readonly build: string;
        readonly proofs: Readonly<Record<string, ProofResult>>;
      }
  );

export interface AgentFacts {
  readonly name: string;
  /** New for each process of the agent: a known name with a new session has lost what it does not list. */
  readonly session: string;
  readonly version: string;
  /** Of the messages it speaks. */
  readonly protocol: number;
  readonly platforms: readonly { readonly platform: string; readonly native: boolean }[];
  readonly slots: number;
  readonly weight: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Registries, namespaces and repositories that it may push to; none: all. */
  readonly repositories?: readonly string[] | undefined;
  /** Absent: of a version that allows everything. */
  readonly policy?: Policy | undefined;
  /** For display. */
  readonly engine?: Hello['engine'] | undefined;
}

export type VolatileEvent = At &
  /** A connection was made. `attempts`: those this process still runs or has a report of. */
  (
    | { readonly type: 'agent-up'; readonly agent: AgentFacts; readonly attempts: readonly AttemptId[] }
    | { readonly type: 'agent-down'; readonly agent: string; readonly session: string }
    /** Any byte came from it. */
    | { readonly type: 'heard'; readonly agent: string; readonly session: string }
    | {
        readonly type: 'beat';
        readonly agent: string;
        readonly session: string;
        readonly state: 'ready' | 'draining' | 'cordoned';
        readonly reason?: string | undefined;
        readonly contexts?: StoreUsage | undefined;
        readonly disks?: readonly DiskSpace[] | undefined;
        readonly usage?: ProcessUsage | undefined;
      }
    /** Somebody told an agent to take no new work, or to take some again; stored beside the events of builds. */
    | { readonly type: 'drained'; readonly agent: string; readonly by: string }
    | { readonly type: 'undrained'; readonly agent: string }
    /** An agent that is away is to be remembered no more. */
    | { readonly type: 'agent-removed'; readonly agent: string }
    /** An attempt said something. */
    | { readonly type: 'alive'; readonly attempt: AttemptId }
    /** The client's contents for this build: bytes that came from it so far. */
    | { readonly type: 'context-sent'; readonly build: string; readonly bytes: number }
    | { readonly type: 'tick' }
  );

export type FarmEvent = DurableEvent | VolatileEvent;

const volatileTypes: ReadonlySet<string> = new Set<VolatileEvent['type']>([
  'agent-up',
  'agent-down',
  'heard',
  'beat',
  'drained',
  'undrained',
  'agent-removed',
  'alive',
  'context-sent',
  'tick',
]);

export function isDurable(event: FarmEvent): event is DurableEvent {
  return !volatileTypes.has(event.type);
}

/** What the driver does once the event that caused it is durable. */
export type Effect =
  | { readonly type: 'offer'; readonly attempt: AttemptId; readonly agent: string; readonly session: string }
  | { readonly type: 'cancel'; readonly attempt: AttemptId; readonly agent: string; readonly reason: string }
  /** Read the reported image back and answer with `verified` or `failed`. */
  | { readonly type: 'verify'; readonly attempt: AttemptId; readonly image: PushedImage }
  /** Publish the list of these children under `tags` and answer with `published` or `publish-failed`. */
  | {
      readonly type: 'publish';
      readonly build: string;
      readonly children: readonly VerifiedImage[];
      readonly tags: readonly string[];
      /** Of a publication that was interrupted while it moved its tags. */
      readonly previous?: Readonly<Record<string, string>> | undefined;
    }
  /** Have agents run what was published, and answer with `proved`. */
  | {
      readonly type: 'prove';
      readonly build: string;
      readonly digest: string;
      readonly tag: string;
      readonly platforms: readonly string[];
      /** Whether the coordinator was restarted meanwhile: agents need a while to come back. */
      readonly resumed?: boolean | undefined;
    }
  /** Append to the build's log. */
  | {
      readonly type: 'notify';
      readonly build: string;
      readonly platform?: string | undefined;
      readonly agent?: string | undefined;
      readonly event: StateEvent;
    }
  /** The agent may forget this attempt: its report is settled. */
  | { readonly type: 'settle'; readonly attempt: AttemptId; readonly agent: string }
  /** The build has ended: archive it, drop its secrets, end its log. */
  | {
      readonly type: 'finished';
      readonly build: string;
      readonly result: BuildResult;
      readonly remains: Remains;
    };

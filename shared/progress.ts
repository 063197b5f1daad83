/**
 * What happens in a build, as followers see it. An agent reports `TaskEvent`s of an attempt; the coordinator
 * numbers them together with its own `state`, `publish` and `result` events into one sequence per build.
 */
import type { ErrorInfo } from './errors.ts';
import type { ProofResult } from './proof.ts';

interface Timed {
  /** Milliseconds since 1970, by the clock of whoever reports it. */
  readonly time: number;
}

/** A BuildKit vertex, or a phase of ours, changed. The same step is reported again on each change. */
export interface StepEvent extends Timed {
  readonly type: 'step';
  /** Stable within the attempt. */
  readonly step: string;
  /** As BuildKit words it: `[2/5] RUN make`, `[internal] load build context` … */
  readonly name: string;
  readonly status: 'started' | 'done' | 'cached' | 'failed' | 'cancelled';
  /** Milliseconds, with `done`, `cached` and `failed`. */
  readonly duration?: number | undefined;
  readonly error?: string | undefined;
}

/** Output of a step: whole lines where there are any, without the last newline. Control sequences are kept. */
export interface LogEvent extends Timed {
  readonly type: 'log';
  readonly step: string;
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
}

/** What the engine took of the context so far. */
export interface ContextEvent extends Timed {
  readonly type: 'context';
  /** Bytes handed to the engine. */
  readonly engineBytes: number;
  /** Bytes of contents that the agent fetched from the coordinator for this attempt. */
  readonly sentBytes: number;
}

/** Progress of a layer in a push or pull: `current` of `total` bytes. */
export interface PushEvent extends Timed {
  readonly type: 'push';
  readonly layer: string;
  readonly status: string;
  readonly current?: number | undefined;
  readonly total?: number | undefined;
}

export interface WarningEvent extends Timed {
  readonly type: 'warning';
  readonly message: string;
}

export type TaskEvent = StepEvent | LogEvent | ContextEvent | PushEvent | WarningEvent;

export const buildStatuses = [
  'queued',
  'running',
  'publishing',
  'succeeded',
  'failed',
  'cancelled',
  'superseded',
] as const;
export type BuildStatus = (typeof buildStatuses)[number];
export type TaskStatus = 'queued' | 'running' | 'pushed' | 'failed' | 'cancelled' | 'skipped';

/** A build (no `platform`) or one of its tasks came to a new state. */
export interface StateEvent extends Timed {
  readonly type: 'state';
  readonly state: BuildStatus | TaskStatus;
  /** Of a running task: the number of the attempt, counted from 1, and whether its host is of that platform. */
  readonly attempt?: number | undefined;
  readonly native?: boolean | undefined;
  /** Why it waits, or failed. */
  readonly reason?: string | undefined;
  readonly error?: ErrorInfo | undefined;
}

/** A step of the publishing: `verify`, `mount`, `copy`, `manifest`, `list`, `tag`. */
export interface PublishEvent extends Timed {
  readonly type: 'publish';
  readonly action: 'verify' | 'mount' | 'copy' | 'manifest' | 'list' | 'tag';
  readonly reference: string;
  readonly digest?: string | undefined;
  readonly bytes?: number | undefined;
}

/** The last event of every build. */
export interface ResultEvent extends Timed {
  readonly type: 'result';
  readonly result: BuildResult;
}

export type BuildEvent = TaskEvent | StateEvent | PublishEvent | ResultEvent;

/** A numbered event. `rawjson` prints these, one a line. */
export type Frame = BuildEvent & {
  /** Counted from 1, without gaps, in the order of the build's log. */
  readonly seq: number;
  readonly build: string;
  readonly platform?: string | undefined;
  readonly agent?: string | undefined;
};

/** What `--metadata-file` and `show --json` hold: a superset of buildx's metadata file. Milliseconds and bytes. */
export interface BuildResult {
  readonly build: string;
  readonly name: string;
  readonly status: BuildStatus;
  readonly created: number;
  /** Who submitted it: `user@host`, or an address. */
  readonly client?: string | undefined;
  /** The build that this one retries or amends. */
  readonly origin?: { readonly type: 'retry' | 'amend'; readonly build: string } | undefined;
  readonly error?: ErrorInfo | undefined;
  readonly 'image.name': string;
  readonly tags: readonly string[];
  readonly 'containerimage.digest'?: string | undefined;
  readonly 'containerimage.descriptor'?: Descriptor | undefined;
  readonly context: {
    /** The same for the same context; made of its root's digest, which is not told. */
    readonly digest: string;
    readonly files: number;
    readonly bytes: number;
    /** Bytes of contents that the client sent for this build. */
    readonly sentBytes: number;
    /** While the build goes on: whether it needs its client no more, and if it does, for what. */
    readonly complete?: boolean | undefined;
    readonly missing?: MissingContents | undefined;
  };
  readonly platforms: readonly PlatformResult[];
  /** Where one build is asked for. */
  readonly repeat?: RepeatFlags | undefined;
  readonly timings: {
    readonly context?: number | undefined;
    readonly publish?: number | undefined;
    readonly total: number;
  };
}

/** Flags of a command that builds the same again. */
export interface RepeatFlags {
  /** Name of its Dockerfile, where that is an unusual one. */
  readonly dockerfile?: string | undefined;
  readonly target?: string | undefined;
  /** `NAME=VALUE`; the name alone of what looks like a secret. */
  readonly args: readonly string[];
  /** All others, as words of a command line. */
  readonly flags: readonly string[];
  /** What no flag says, in words for people. */
  readonly others: readonly string[];
}

/** Contents that tasks of a build want and its coordinator lacks. */
export interface MissingContents {
  readonly files: number;
  readonly bytes: number;
  /** Of the first twenty. */
  readonly paths: readonly string[];
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export interface PlatformResult {
  readonly platform: string;
  readonly status: TaskStatus;
  readonly optional: boolean;
  readonly reference: string;
  readonly digest?: string | undefined;
  /** Of its manifest. */
  readonly size?: number | undefined;
  /** Of what a client pulls of it: config and layers, compressed, each once. */
  readonly imageSize?: number | undefined;
  readonly config?: string | undefined;
  readonly agent?: string | undefined;
  readonly native?: boolean | undefined;
  readonly error?: ErrorInfo | undefined;
  readonly attempts: readonly {
    readonly agent: string;
    readonly outcome?: AttemptOutcome | undefined;
    readonly error?: ErrorInfo | undefined;
  }[];
  readonly timings: Timings;
  readonly context: { readonly sentBytes: number };
  /** Whether the published image runs on this platform, where that was asked for. */
  readonly verify?: ProofResult | undefined;
}

export type AttemptOutcome = 'pushed' | 'failed' | 'lost' | 'cancelled' | 'superseded';

/** Milliseconds of each phase of a task. `queued` is until the offer was accepted. */
export interface Timings {
  readonly queued?: number | undefined;
  readonly context?: number | undefined;
  readonly build?: number | undefined;
  readonly test?: number | undefined;
  readonly push?: number | undefined;
}

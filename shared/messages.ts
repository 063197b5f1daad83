/**
 * The control protocol between agent and coordinator: two closed unions of JSON messages, one per direction,
 * one message a WebSocket text frame. README.md beside this file tells their order.
 */
import type { Selection } from './context/select.ts';
import type { StoreUsage } from './context/store-usage.ts';
import type { Digest } from './context/tree.ts';
import type { DiskSpace } from './disk-space.ts';
import type { ErrorInfo } from './errors.ts';
import type { Policy } from './policy.ts';
import type { ProcessUsage } from './process-usage.ts';
import type { TaskEvent } from './progress.ts';
import type { ProofOrder, ProofOutcome } from './proof.ts';
import type { Outcome, RegistryAuth, Task } from './task.ts';

/** Raised with every change that the other side must know of. */
export const PROTOCOL_VERSION = 3;

/** Agents of these versions are served. Those of version 1 know no proofs, and are not asked for any; those before 3 have no policy. */
export const SERVED_VERSIONS: readonly number[] = [1, 2, PROTOCOL_VERSION];
/** The first version whose agents prove images. */
export const PROOFS_SINCE = 2;

/** Bounds that both sides keep, and hold the other to. Bytes, unless they say otherwise. */
export const limits = {
  /** Of one WebSocket message. */
  message: 1024 * 1024,
  /** Of them that a message may come in. */
  fragments: 1024,
  /** Nesting of a JSON message, in levels: deeper ones overflow the stack of whoever walks them. */
  depth: 32,
  /** Of a control connection's unsent messages; a peer that reads slower is cut. */
  outgoing: 16 * 1024 * 1024,
  /** Of one progress message's events. */
  progress: 64 * 1024,
  /** Of an attempt's progress that the coordinator has not acknowledged. */
  unacknowledged: 4 * 1024 * 1024,
  /** Of that, what may be on its way at once. */
  window: 512 * 1024,
  /** Of one selection, as JSON; a longer one is told as all of the tree. */
  selection: 256 * 1024,
  /** Of one text of an event or an error. */
  text: 64 * 1024,
} as const;

/** WebSocket close codes with a meaning of their own; the reason says more. */
export const closeCodes = {
  /** It talks too much. */
  policy: 1008,
  /** The coordinator stops or restarts; dial again. */
  restart: 1012,
  /** Not JSON, not a message, or one out of order. */
  malformed: 4400,
  /** Who it showed to be counts no more. */
  revoked: 4401,
  /** The shared token is not enough any more; dial again, as that may change. */
  certificate: 4403,
  /** Its protocol version is not served, or it says what this one has no message for. */
  version: 4405,
  /** Another live connection has this name. */
  duplicate: 4409,
  /** It reads too slowly. */
  slow: 4413,
} as const;

export interface OfferedPlatform {
  /** Formatted. */
  readonly platform: string;
  readonly native: boolean;
}

/** Whether an agent takes work, and why not. */
export type AgentState = 'ready' | 'draining' | 'cordoned';

/** The first message on a connection. */
export interface Hello {
  readonly type: 'hello';
  readonly protocol: number;
  readonly version: string;
  readonly name: string;
  /** New for each process of the agent. */
  readonly session: string;
  readonly platforms: readonly OfferedPlatform[];
  readonly slots: number;
  readonly weight: number;
  readonly labels: Readonly<Record<string, string>>;
  /** What builds may ask of its engine. */
  readonly policy?: Policy | undefined;
  readonly engine: { readonly version: string; readonly apiVersion: string };
  readonly state: AgentState;
  readonly reason?: string | undefined;
  /** Attempts that this process runs, or holds an unsettled report of. */
  readonly attempts: readonly string[];
}

/** What an attempt may ask while it runs. */
export type Question =
  | { readonly kind: 'push-auth' }
  /** What the registry of a base image takes, so that nothing is handed out that is not needed. */
  | { readonly kind: 'pull-scheme'; readonly host: string }
  /** Repositories of that host. Which token server is to be asked is no business of the agent. */
  | { readonly kind: 'pull-auth'; readonly host: string; readonly repositories: readonly string[] }
  | { readonly kind: 'secret'; readonly id: string };

export type Answer =
  | { readonly kind: 'auth'; readonly auth: RegistryAuth }
  | { readonly kind: 'pull-scheme'; readonly scheme: RegistryAuth['type'] }
  /** Base64. */
  | { readonly kind: 'secret'; readonly value: string }
  | { readonly kind: 'error'; readonly error: ErrorInfo };

export type ToCoordinator =
  | Hello
  | {
      readonly type: 'beat';
      readonly state: AgentState;
      readonly reason?: string | undefined;
      /** Of the agent's store of contents. */
      readonly contexts?: StoreUsage | undefined;
      /** Of the engine's images and the agent's own data, each file system once. */
      readonly disks?: readonly DiskSpace[] | undefined;
      /** Of the agent's process. */
      readonly usage?: ProcessUsage | undefined;
    }
  | { readonly type: 'accept'; readonly attempt: string }
  | { readonly type: 'decline'; readonly attempt: string; readonly reason: string }
  /** `frame` counts an attempt's messages from 1; one that is not acknowledged is sent again after a reconnect. */
  | {
      readonly type: 'progress';
      readonly attempt: string;
      readonly frame: number;
      readonly events: readonly TaskEvent[];
    }
  /** The end of an attempt, sent until it is settled. It counts once frame `lastFrame` has arrived. */
  | {
      readonly type: 'report';
      readonly attempt: string;
      readonly lastFrame: number;
      readonly outcome: Outcome;
    }
  /**
   * The attempt's engine has opened a tree of its task, and asks for no more of it than this. Several add up; all are
   * sent again after a reconnect.
   */
  | {
      readonly type: 'selected';
      readonly attempt: string;
      readonly tree: Digest;
      readonly selection: Selection;
    }
  | { readonly type: 'ask'; readonly attempt: string; readonly ask: number; readonly question: Question }
  | { readonly type: 'proved'; readonly proof: string; readonly outcome: ProofOutcome };

export type ToAgent =
  /** The answer to `hello`. `heartbeat` and `lost` are milliseconds. */
  | {
      readonly type: 'welcome';
      readonly protocol: number;
      readonly version: string;
      readonly heartbeat: number;
      readonly lost: number;
    }
  | { readonly type: 'beat' }
  | { readonly type: 'offer'; readonly attempt: string; readonly task: Task }
  | { readonly type: 'cancel'; readonly attempt: string; readonly reason: string }
  /** All frames of the attempt up to this one are stored. */
  | { readonly type: 'acknowledge'; readonly attempt: string; readonly frame: number }
  /** The attempt's report is stored, or of no use: forget it. */
  | { readonly type: 'settle'; readonly attempt: string }
  | { readonly type: 'answer'; readonly attempt: string; readonly ask: number; readonly answer: Answer }
  /** To be answered with `proved`. A proof is of this connection: when that ends, it does. */
  | { readonly type: 'prove'; readonly proof: string; readonly order: ProofOrder }
  /** Nobody waits for the proof any more; there is no answer. */
  | { readonly type: 'stop-proof'; readonly proof: string };

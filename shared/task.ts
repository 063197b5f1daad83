/** What the coordinator asks of an agent, and what the agent answers: the contents of `offer` and `report`. */
import type { ContextLimits } from './context/limits.ts';
import type { Digest, TreeId } from './context/tree.ts';
import type { ErrorInfo } from './errors.ts';
import type { Timings } from './progress.ts';

/** What a build asks of BuildKit, the same for every platform. */
export interface BuildParameters {
  readonly args: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly target?: string | undefined;
  readonly noCache: boolean;
  readonly pull: boolean;
  readonly network?: string | undefined;
  /** `name:address`, as the Engine API takes them. */
  readonly extraHosts: readonly string[];
  /** Images whose inline cache is used; in a task, those of its platform. */
  readonly cacheFrom: readonly string[];
}

/** A command that an image must pass before it is pushed. */
export interface ImageTest {
  /** Run directly, in place of the image's entrypoint. */
  readonly command: readonly string[];
  /** Milliseconds. */
  readonly timeout: number;
  /** Whether it gets the engine's default network. */
  readonly network: boolean;
}

export interface NamedContext extends TreeId {
  /** Like that of a stage, in lower case. */
  readonly name: string;
}

/** All trees of a build or a task. */
export function treesOf(of: Pick<Task, 'context' | 'dockerfile' | 'contexts'>): TreeId[] {
  return [of.context, of.dockerfile, ...of.contexts].map(({ root, times }: TreeId) => ({ root, times }));
}

/** One platform of a build, with everything an agent must know to build and push it. */
export interface Task extends BuildParameters {
  readonly build: string;
  /** Formatted platform, `linux/arm64/v8`. */
  readonly platform: string;
  /** Where the platform image is pushed: `host/onap/py-app-arm64v8:latest`. */
  readonly image: string;
  readonly context: TreeId & { readonly name: string };
  /** A tree of its own that holds the Dockerfile (`name`) and its ignore file, whatever the context holds; without times. */
  readonly dockerfile: { readonly root: Digest; readonly name: string };
  /** Trees that the Dockerfile may refer to as it does to stages. */
  readonly contexts: readonly NamedContext[];
  /** What its coordinator lets a context have. */
  readonly contextLimits?: ContextLimits | undefined;
  /** Ids that BuildKit may ask for; values are asked of the coordinator when it does. */
  readonly secrets: readonly string[];
  readonly ssh: readonly string[];
  readonly test?: ImageTest | undefined;
  /** A registry, repository and context name: what one engine's synced context is kept under (see agent/engine). */
  readonly contextKey: string;
}

export interface ConfigFacts {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
  readonly osVersion?: string | undefined;
}

/** An image that was built, and pushed under `Task.image`. */
export interface PushedImage {
  /** The engine's id of the image: the config's digest, or the manifest's with the containerd image store. */
  readonly imageId: Digest;
  /** What the registry took: a manifest, or an index that holds it. */
  readonly digest: Digest;
  /** Bytes of that manifest or index. */
  readonly size: number;
  /** What the image's config says of its platform, as far as the engine tells. */
  readonly config?: ConfigFacts | undefined;
  readonly timings: Timings;
  /** Bytes of contents fetched from the coordinator for this attempt. */
  readonly sentBytes: number;
}

export type Outcome =
  | { readonly status: 'pushed'; readonly image: PushedImage }
  /** `kind` decides whether another attempt makes sense: build errors are never retried. */
  | {
      readonly status: 'failed';
      readonly kind: 'build' | 'infrastructure';
      readonly error: ErrorInfo;
      readonly timings: Timings;
      readonly sentBytes: number;
    }
  | { readonly status: 'cancelled'; readonly reason: string };

/**
 * How to sign in to one registry; `anonymous` when the coordinator has nothing for it. A token's `lifetime` is what is
 * left of it, in milliseconds: clocks of hosts differ.
 */
export type RegistryAuth =
  | { readonly type: 'anonymous' }
  | { readonly type: 'bearer'; readonly token: string; readonly lifetime?: number | undefined }
  | { readonly type: 'basic'; readonly username: string; readonly password: string };

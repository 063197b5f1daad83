/** A build as a client asks for it: what `project/` makes of files and flags, and what `POST /v1/builds` takes. */
import type { Digest, TreeId } from '../../shared/context/tree.ts';
import type { ProofRequest } from '../../shared/proof.ts';
import type { BuildParameters, ImageTest, NamedContext } from '../../shared/task.ts';
import type { AdditionalContext } from './additional-contexts.ts';
import type { Annotations, AttestationMode, ListType } from './annotations.ts';
import type { ContextSource } from './context-source.ts';

/** What plan and spec have in common. */
interface BuildRequest extends BuildParameters {
  /** What the user called it: a service, a target or a directory's name. */
  readonly name: string;
  /** Formatted references; the first names the platform images. */
  readonly tags: readonly string[];
  /** Formatted platforms; empty means every platform that a connected agent has natively. */
  readonly platforms: readonly string[];
  /** Those of the platforms that the list may go without. */
  readonly optional: readonly string[];
  /** Only agents that have all of these labels build it. */
  readonly agentLabels: Readonly<Record<string, string>>;
  /** Builds of a higher priority are given agents first; 0 is usual. */
  readonly priority: number;
  readonly suffix: 'repo' | 'tag';
  readonly type: ListType;
  readonly annotations: Annotations;
  /** Absent: kept where the list can hold them. */
  readonly attestations?: AttestationMode | undefined;
  /** Whether the children get tags in the final repositories, too. */
  readonly childTags: boolean;
  /** Tags may lose platforms. */
  readonly force: boolean;
  /** Whether the images carry a cache for later builds. */
  readonly inlineCache: boolean;
  readonly test?: ImageTest | undefined;
  /** Absent: what is published is not run. */
  readonly verify?: ProofRequest | undefined;
  readonly allowEmulation: boolean;
  /** Milliseconds. */
  readonly waitAgent: number;
  /** Milliseconds that agents may work on each platform. */
  readonly timeout?: number | undefined;
}

/** What is different on one platform; arguments and labels come on top of those of the build. */
export interface PlatformOverride<Dockerfile> {
  readonly args?: Readonly<Record<string, string>> | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly target?: string | undefined;
  readonly dockerfile?: Dockerfile | undefined;
}

/** By formatted platform. */
export type PlatformOverrides<Dockerfile> = Readonly<Record<string, PlatformOverride<Dockerfile>>>;

/** Everything of a build that is known before its context is scanned. */
export interface BuildPlan extends BuildRequest {
  readonly secrets: readonly SecretSource[];
  readonly ssh: readonly SshSource[];
  readonly context: ContextSource;
  readonly dockerfile: DockerfileSource | { readonly type: 'stdin' };
  readonly perPlatform: PlatformOverrides<DockerfileSource>;
  readonly contexts: readonly AdditionalContext[];
}

export type DockerfileSource =
  | { readonly type: 'file'; /** Absolute. */ readonly path: string }
  | { readonly type: 'context'; /** From the root of the context. */ readonly path: string }
  | { readonly type: 'inline'; readonly text: string };

/** Where the client takes a secret's value from. */
export type SecretSource =
  | { readonly id: string; readonly type: 'file'; readonly path: string }
  | { readonly id: string; readonly type: 'env'; readonly variable: string };

export interface SshSource {
  readonly id: string;
  /** Path of an agent socket. */
  readonly socket: string;
}

/** What travels and is stored: no paths of the client, no secret values. */
export interface BuildSpec extends BuildRequest {
  /** Ids only. */
  readonly secrets: readonly string[];
  readonly ssh: readonly string[];
  readonly context: TreeId & {
    /** The directory's base name: shown, and part of what engines key their copy by. */
    readonly name: string;
    /** With those of the additional contexts. */
    readonly files: number;
    readonly bytes: number;
  };
  readonly dockerfile: DockerfileRoot;
  /** Absent where every platform is built alike. */
  readonly perPlatform?: PlatformOverrides<DockerfileRoot> | undefined;
  readonly contexts: readonly NamedContext[];
}

/** A Dockerfile needs one; each agent reads all of them for itself. */
export const maxOtherFrontends = 16;

/** A tree that holds a Dockerfile of that name. */
export interface DockerfileRoot {
  readonly root: Digest;
  readonly name: string;
  /** The image that it names as its frontend, where that is not Docker's own. */
  readonly frontend?: string | undefined;
  /** Others that it names, of which some engines take one instead; some of them, where they are many. */
  readonly otherFrontends?: readonly string[] | undefined;
}

/** What a project file says about one build, whatever kind of file it is. */
import type { AdditionalContext } from './additional-contexts.ts';
import { noAnnotations, type Annotations, type AttestationMode, type ListType } from './annotations.ts';
import type { ContextSource } from './context-source.ts';
import { dockerfileIn } from './dockerfile-source.ts';
import type { VerifyRequest } from './image-proof.ts';
import type { TestRequest } from './image-test.ts';
import type { BuildPlan, DockerfileSource, PlatformOverrides, SecretSource, SshSource } from './spec.ts';

export interface ProjectBuild {
  /** As written. */
  readonly tags: readonly string[];
  readonly platforms: readonly string[];
  /** Formatted. */
  readonly optional: readonly string[];
  readonly agentLabels: Readonly<Record<string, string>>;
  readonly priority: number | undefined;
  /** A path may turn out to be that of an archive. */
  readonly context: ContextSource;
  readonly dockerfile: DockerfileSource;
  readonly perPlatform: PlatformOverrides<DockerfileSource>;
  readonly contexts: readonly AdditionalContext[];
  readonly args: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly target: string | undefined;
  readonly network: string | undefined;
  readonly pull: boolean;
  readonly noCache: boolean;
  readonly extraHosts: readonly string[];
  readonly secrets: readonly SecretSource[];
  readonly ssh: readonly SshSource[];
  /** Formatted references. */
  readonly cacheFrom: readonly string[];
  readonly inlineCache: boolean;
  readonly suffix: BuildPlan['suffix'] | undefined;
  readonly type: ListType | undefined;
  readonly annotations: Annotations;
  readonly attestations: AttestationMode | undefined;
  readonly childTags: boolean;
  readonly test: TestRequest | undefined;
  readonly verify: VerifyRequest | undefined;
}

/** A context with nothing said about it. */
export function plainBuild(context: ContextSource): ProjectBuild {
  return {
    tags: [],
    platforms: [],
    optional: [],
    agentLabels: {},
    priority: undefined,
    context,
    dockerfile: dockerfileIn(context),
    perPlatform: {},
    contexts: [],
    args: {},
    labels: {},
    target: undefined,
    network: undefined,
    pull: false,
    noCache: false,
    extraHosts: [],
    secrets: [],
    ssh: [],
    cacheFrom: [],
    inlineCache: false,
    suffix: undefined,
    type: undefined,
    annotations: noAnnotations,
    attestations: undefined,
    childTags: false,
    test: undefined,
    verify: undefined,
  };
}

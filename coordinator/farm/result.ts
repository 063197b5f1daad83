/** A build as users and scripts see it: what `show --json` prints and `--metadata-file` holds. */
import { digestOf } from '../../shared/context/encoding.ts';
import type { Digest } from '../../shared/context/tree.ts';
import type { BuildResult, Descriptor, PlatformResult, Timings } from '../../shared/progress.ts';
import type { BuildSpec } from '../project/spec.ts';
import { liveAttempt } from './build-state.ts';
import type { Attempt, Build, TaskState } from './build-state.ts';
import { platformImage } from './task.ts';

export interface ResultOptions {
  /** The end of the build, or now. */
  readonly at: number;
}

/** A snapshot of the build at `at`. */
export function resultOf(build: Build, options: ResultOptions): BuildResult {
  const { spec, origin, published, proofs } = build;
  const { at } = options;
  return {
    build: build.id,
    name: spec.name,
    status: build.status,
    created: build.createdAt,
    client: build.client,
    ...(origin === undefined ? {} : { origin: { type: origin.type, build: origin.build } }),
    ...(build.error === undefined ? {} : { error: build.error }),
    'image.name': spec.tags.join(','),
    tags: published?.tags ?? spec.tags,
    ...(published === undefined
      ? {}
      : {
          'containerimage.digest': published.descriptor.digest,
          'containerimage.descriptor': published.descriptor,
        }),
    context: {
      digest: shownDigest(spec.context.root),
      files: spec.context.files,
      bytes: spec.context.bytes,
      sentBytes: build.sentBytes,
    },
    platforms: [...build.tasks.values()].map((task) => {
      const verify = proofs?.[task.platform];
      return { ...platformResult(spec, task, at), ...(verify === undefined ? {} : { verify }) };
    }),
    timings: {
      ...(published === undefined ? {} : { publish: published.duration }),
      total: at - build.createdAt,
    },
  };
}

/**
 * Tells whether two contexts are alike, and is good for nothing else: by the root's own digest, whoever may look at builds
 * could have the files of others built into an image.
 */
function shownDigest(root: Digest): Digest {
  return digestOf(Buffer.from(`context ${root}`));
}

function platformResult(spec: BuildSpec, task: TaskState, at: number): PlatformResult {
  const tries = task.attempts.filter((attempt) => attempt.outcome !== 'declined');
  // The one that brought the image, or the latest.
  const shown = tries.find((attempt) => attempt.outcome === 'pushed') ?? liveAttempt(task) ?? tries.at(-1);
  return {
    platform: task.platform,
    status: task.status,
    optional: task.optional,
    reference: platformImage(spec, task.platform),
    ...(task.image === undefined
      ? {}
      : {
          digest: task.image.descriptor.digest,
          size: task.image.descriptor.size,
          imageSize: sizeOf(task.image.blobs),
          config: task.image.config,
        }),
    ...(shown === undefined ? {} : { agent: shown.agent, native: shown.native }),
    ...(task.error === undefined ? {} : { error: task.error }),
    attempts: tries.map(({ agent, outcome, error }) => ({
      agent,
      ...(outcome === undefined || outcome === 'declined' ? {} : { outcome }),
      ...(error === undefined ? {} : { error }),
    })),
    timings: timingsOf(task, shown, at),
    context: { sentBytes: tries.reduce((sum, attempt) => sum + attempt.sentBytes, 0) },
  };
}

/** An image may have the same layer more than once. */
function sizeOf(blobs: readonly Descriptor[]): number {
  const sizes = new Map(blobs.map(({ digest, size }) => [digest, size]));
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

function timingsOf(task: TaskState, shown: Attempt | undefined, at: number): Timings {
  const began = shown?.acceptedAt;
  if (began !== undefined) return { ...shown?.timings, queued: began - task.createdAt };
  return task.status === 'queued' ? { queued: at - task.createdAt } : {};
}

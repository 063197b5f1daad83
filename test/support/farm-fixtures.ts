/** Builds, agents and reports for tests of the farm. */
import type { AttemptId } from '../../shared/attempt.ts';
import { PROTOCOL_VERSION } from '../../shared/messages.ts';
import { parsePlatform } from '../../shared/platform.ts';
import type { PushedImage } from '../../shared/task.ts';
import type { AgentFacts, VerifiedImage } from '../../coordinator/farm/events.ts';
import { noAnnotations } from '../../coordinator/project/annotations.ts';
import type { BuildSpec } from '../../coordinator/project/spec.ts';

export const amd64 = 'linux/amd64';
export const arm64 = 'linux/arm64/v8';

export function digestOf(text: string): string {
  return `sha256:${Buffer.from(text).toString('hex').padEnd(64, '0').slice(0, 64)}`;
}

export function sampleSpec(change: Partial<BuildSpec> = {}): BuildSpec {
  return {
    name: 'py-app',
    tags: ['localhost:5000/onap/py-app:latest'],
    platforms: [amd64, arm64],
    optional: [],
    agentLabels: {},
    priority: 0,
    args: {},
    labels: {},
    noCache: false,
    pull: false,
    extraHosts: [],
    cacheFrom: [],
    type: 'auto',
    annotations: noAnnotations,
    childTags: false,
    force: false,
    inlineCache: false,
    secrets: [],
    ssh: [],
    suffix: 'repo',
    allowEmulation: false,
    waitAgent: 15_000,
    context: { root: digestOf('context'), name: 'py-app', files: 3, bytes: 1000 },
    dockerfile: { root: digestOf('dockerfile'), name: 'Dockerfile' },
    contexts: [],
    ...change,
  };
}

export function sampleAgent(name: string, change: Partial<AgentFacts> = {}): AgentFacts {
  return {
    name,
    session: `${name}-1`,
    version: '0.1.0',
    protocol: PROTOCOL_VERSION,
    platforms: [{ platform: amd64, native: true }],
    slots: 1,
    weight: 1,
    labels: {},
    ...change,
  };
}

/** What an agent reports of an attempt; different for each attempt. */
export function pushedBy({ build, platform, number }: AttemptId): PushedImage {
  const digest = digestOf(`${build}${platform}${number}`);
  return { imageId: digest, digest, size: 500, timings: { build: 10, push: 5 }, sentBytes: 7 };
}

export function verifiedFrom({ platform }: AttemptId, image: PushedImage): VerifiedImage {
  return {
    repository: 'localhost:5000/onap/py-app',
    descriptor: {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: image.digest,
      size: image.size,
    },
    config: image.imageId,
    platform: parsePlatform(platform),
    blobs: [],
  };
}

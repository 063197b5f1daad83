/**
 * The last step of a build, in this process: from two images that are reported at the same moment to the tag that was read
 * back, which is what `timings.publish` of a build says. The tag was looked at as the agents began to push; that request
 * counts, and is no part of the time or the depth.
 */
import { publish } from '../../coordinator/manifest/publish.ts';
import { Staging } from '../../coordinator/manifest/staging.ts';
import { verifyImage } from '../../coordinator/manifest/verify.ts';
import { Registries } from '../../coordinator/registry/registries.ts';
import { parsePlatform } from '../../shared/platform.ts';
import { parseReference } from '../../shared/reference.ts';
import { newBlobs, putImage } from './publish-images.ts';
import type { DelayingProxy } from './delaying-proxy.ts';

export interface StepFigures {
  readonly times: number[];
  readonly requests: number[];
  /** Round trips one after another, the one that reads the tag back included. */
  readonly depths: number[];
}

const architectures = ['amd64', 'arm64'] as const;

/**
 * What the repository has before: nothing, the images' blobs under manifests that nobody has seen, just these images, or
 * just these under another tag.
 */
export const stepCases = ['new', 'blobs', 'unchanged', 'retagged'] as const;
export type StepCase = (typeof stepCases)[number];

/** One coordinator publishes these after each other, each time into repositories that nobody has seen. */
export async function publishSteps(
  proxy: Omit<DelayingProxy, typeof Symbol.asyncDispose>,
  { name, upstream }: { name: string; upstream: string },
  note: (step: StepCase, figures: { time: number; requests: number; depth: number }) => void,
): Promise<void> {
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const blobs = architectures.map(newBlobs);
  for (const step of stepCases) {
    const images = await Promise.all(
      blobs.map(async (each) => {
        const repository = `bench/${name}-${each.architecture}`;
        const indent = step === 'new' ? 0 : 3;
        const reported = await putImage({ host: upstream, repository }, each, indent);
        const platform = parsePlatform(`linux/${each.architecture}`);
        return { reported, platform, reference: parseReference(`${proxy.host}/${repository}`) };
      }),
    );
    proxy.restart();
    const tag = `${proxy.host}/bench/${name}:${step === 'retagged' ? 2 : 1}`;
    const time = await publishOnce(images, { registries, tag, onReported: () => proxy.fromHere() });
    note(step, { time, requests: proxy.requests, depth: proxy.depth });
  }
}

/** Gives milliseconds. */
async function publishOnce(
  images: readonly Omit<Parameters<typeof verifyImage>[0], 'isListed'>[],
  { registries, tag, onReported }: { registries: Registries; tag: string; onReported: () => void },
): Promise<number> {
  const { signal } = new AbortController();
  const onEvent = (): void => {};
  await using staging = new Staging([tag], { registries, signal, onEvent });
  await Promise.all(staging.tags.map((each) => staging.current(each)));
  onReported();
  const start = performance.now();
  const isListed = (digest: string): Promise<boolean> => staging.isListed(digest);
  const children = await Promise.all(
    images.map(async (image) => {
      staging.anticipate(registries.repository(image.reference), image.reported.digest);
      const verified = await verifyImage({ ...image, isListed }, registries, signal);
      staging.bring(verified).catch(() => {});
      return verified;
    }),
  );
  await publish({ children, tags: [tag] }, registries, { signal, staging, onEvent });
  return performance.now() - start;
}

/** A published list of two sample images. */
import { publish } from '../../coordinator/manifest/publish.ts';
import { verifyImage } from '../../coordinator/manifest/verify.ts';
import type { Registries } from '../../coordinator/registry/registries.ts';
import { parsePlatform } from '../../shared/platform.ts';
import { parseReference } from '../../shared/reference.ts';
import { pushSample } from './sample-image.ts';

/** Publishes `app:latest` of two images of one type in a new registry. */
export async function publishSample(
  registries: Registries,
  { host, type }: { readonly host: string; readonly type: 'docker' | 'oci' },
): Promise<void> {
  const { signal } = new AbortController();
  const children = [];
  for (const [suffix, text] of [
    ['amd64', 'linux/amd64'],
    ['arm64v8', 'linux/arm64'],
  ] as const) {
    const platform = parsePlatform(text);
    const repository = `app-${suffix}`;
    const { reported } = await pushSample({ host, repository }, { platform, type });
    const reference = parseReference(`${host}/${repository}`);
    children.push(await verifyImage({ reported, reference, platform }, registries, signal));
  }
  await publish({ children, tags: [`${host}/app:latest`] }, registries, { signal, onEvent: () => {} });
}

/** What a registry has under a tag, read with plain requests: sharing no code with what put it there. */
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { digestOf, pullDocument, type SampleTarget } from './sample-image.ts';

const descriptor = v.object({ mediaType: v.string(), digest: v.string(), size: v.number() });
const platform = v.object({ os: v.string(), architecture: v.string(), variant: v.optional(v.string()) });
const listSchema = v.object({ manifests: v.array(v.object({ ...descriptor.entries, platform })) });
const manifestSchema = v.object({ config: descriptor, layers: v.array(descriptor) });

export interface PublishedList {
  readonly digest: string;
  /** `linux/arm64/v8`, in the list's order. */
  readonly platforms: readonly string[];
  /** The manifests of the children, and all their blobs; checked against their digests. */
  readonly documents: readonly Buffer[];
  readonly blobs: readonly Buffer[];
}

/** Undefined where there is no such tag. */
export async function readPublished(
  target: SampleTarget,
  tag = 'latest',
): Promise<PublishedList | undefined> {
  const list = await pullDocument(target, tag);
  if (list === undefined) return undefined;
  const { manifests } = v.parse(listSchema, JSON.parse(list.bytes.toString()));
  const documents: Buffer[] = [];
  const blobs = new Map<string, Buffer>();
  for (const { digest } of manifests) {
    const child = await pullDocument(target, digest);
    assert.is(child?.digest, digest);
    documents.push(child?.bytes ?? Buffer.of());
    const { config, layers } = v.parse(manifestSchema, JSON.parse(String(child?.bytes)));
    for (const blob of [config, ...layers]) {
      if (!blobs.has(blob.digest)) blobs.set(blob.digest, await readBlob(target, blob.digest));
    }
  }
  return {
    digest: list.digest,
    platforms: manifests.map(({ platform: { os, architecture, variant } }) =>
      [os, architecture, ...(variant === undefined ? [] : [variant])].join('/'),
    ),
    documents: [list.bytes, ...documents],
    blobs: [...blobs.values()],
  };
}

async function readBlob({ host, repository, authorization }: SampleTarget, digest: string): Promise<Buffer> {
  const headers = new Headers(authorization === undefined ? {} : { authorization });
  const answer = await fetch(`http://${host}/v2/${repository}/blobs/${digest}`, { headers });
  assert.is(answer.status, 200, `${host}/${repository}@${digest}`);
  const bytes = Buffer.from(await answer.arrayBuffer());
  assert.is(digestOf(bytes), digest);
  return bytes;
}

/** Small images in a registry, put there by plain requests and not by the client under test. */
import { createHash, randomBytes } from 'node:crypto';
import * as assert from 'uvu/assert';
import type { PushedImage } from '../../shared/task.ts';

export interface SampleImage {
  readonly config: string;
  readonly mediaType: string;
  readonly digest: string;
  readonly bytes: Buffer;
  /** As an agent would report it. */
  readonly reported: PushedImage;
}

export interface SampleTarget {
  readonly host: string;
  readonly repository: string;
  readonly tag?: string;
  readonly authorization?: string;
}

export interface SampleOptions {
  readonly platform: { os: string; architecture: string; variant?: string; 'os.version'?: string };
  readonly type?: 'docker' | 'oci';
  /** Two if not given. */
  readonly layers?: number;
  /** Bytes of each layer. */
  readonly layerSize?: number;
}

const dockerTypes = {
  manifest: 'application/vnd.docker.distribution.manifest.v2+json',
  config: 'application/vnd.docker.container.image.v1+json',
  layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
};
const ociTypes = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
};

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** An image of random layers. */
export async function pushSample(target: SampleTarget, options: SampleOptions): Promise<SampleImage> {
  const types = options.type === 'oci' ? ociTypes : dockerTypes;
  const config = Buffer.from(JSON.stringify({ ...options.platform, salt: randomBytes(8).toString('hex') }));
  const layers = Array.from({ length: options.layers ?? 2 }, () => randomBytes(options.layerSize ?? 100));
  for (const blob of [config, ...layers]) await pushBlob(target, blob);
  const describe = (mediaType: string, bytes: Buffer): unknown => {
    return { mediaType, size: bytes.length, digest: digestOf(bytes) };
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: describe(types.config, config),
    layers: layers.map((layer) => describe(types.layer, layer)),
  };
  const bytes = Buffer.from(JSON.stringify(manifest, null, 3));
  const { digest } = await pushDocument(target, { mediaType: types.manifest, bytes });
  const reported = { imageId: digestOf(config), digest, size: bytes.length, timings: {}, sentBytes: 0 };
  return { config: digestOf(config), mediaType: types.manifest, digest, bytes, reported };
}

/** A manifest or list as given, under the target's tag. */
export async function pushDocument(
  target: SampleTarget,
  document: { mediaType: string; bytes: Buffer },
): Promise<{ digest: string }> {
  await send(target, `manifests/${target.tag ?? 'latest'}`, {
    method: 'PUT',
    headers: { 'content-type': document.mediaType },
    body: document.bytes,
  });
  return { digest: digestOf(document.bytes) };
}

export async function pushBlob(target: SampleTarget, bytes: Buffer): Promise<void> {
  const opened = await send(target, 'blobs/uploads/', { method: 'POST' });
  const location = new URL(opened.headers.get('location') ?? '');
  location.searchParams.set('digest', digestOf(bytes));
  await send(target, location.href, { method: 'PUT', body: bytes });
}

/** What the registry has under a tag or digest: its type and its bytes. */
export async function pullDocument(
  target: SampleTarget,
  reference: string,
): Promise<{ mediaType: string; bytes: Buffer; digest: string } | undefined> {
  const types = [dockerTypes.manifest, ociTypes.manifest, dockerTypes.manifest.replace('.v2', '.list.v2')];
  const accept = [...types, 'application/vnd.oci.image.index.v1+json'].join(', ');
  const url = `http://${target.host}/v2/${target.repository}/manifests/${reference}`;
  const headers = new Headers({ accept });
  if (target.authorization !== undefined) headers.set('authorization', target.authorization);
  const answer = await fetch(url, { headers });
  const bytes = Buffer.from(await answer.arrayBuffer());
  if (answer.status === 404) return undefined;
  assert.is(answer.status, 200);
  return { mediaType: answer.headers.get('content-type') ?? '', bytes, digest: digestOf(bytes) };
}

async function send(target: SampleTarget, path: string, init: RequestInit): Promise<Response> {
  const url = new URL(path, `http://${target.host}/v2/${target.repository}/`);
  const headers = new Headers(init.headers);
  if (target.authorization !== undefined) headers.set('authorization', target.authorization);
  const answer = await fetch(url, { ...init, headers });
  const text = await answer.text();
  assert.ok(answer.ok, `${init.method} ${url.href}: ${answer.status} ${text}`);
  return answer;
}

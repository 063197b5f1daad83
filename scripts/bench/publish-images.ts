/** Images put into a registry by plain requests, as an engine would have pushed them. */
import { createHash, randomBytes } from 'node:crypto';
import type { PushedImage } from '../../shared/task.ts';

const docker = 'application/vnd.docker';
const layerBytes = 100_000;

export interface Place {
  /** `HOST:PORT` */
  readonly host: string;
  readonly repository: string;
}

interface Blobs {
  readonly architecture: string;
  readonly config: Buffer;
  readonly layers: readonly Buffer[];
}

/** A config and two layers that no other image has. */
export function newBlobs(architecture: string): Blobs {
  const rootfs = { type: 'layers', diff_ids: [] };
  const salt = randomBytes(8).toString('hex');
  const config = { architecture, os: 'linux', rootfs, config: { Labels: { salt } } };
  return {
    architecture,
    config: Buffer.from(JSON.stringify(config)),
    layers: [randomBytes(layerBytes), randomBytes(layerBytes)],
  };
}

/** Under the tag 1, as an agent would report it. `indent` makes another manifest of the same blobs. */
export async function putImage(place: Place, blobs: Blobs, indent = 0): Promise<PushedImage> {
  const { architecture, config, layers } = blobs;
  for (const blob of [config, ...layers]) {
    const opened = await ask(place, 'blobs/uploads/', { method: 'POST' });
    const location = new URL(opened.headers.get('location') ?? '');
    location.searchParams.set('digest', digestOf(blob));
    await ask(place, location.href, { method: 'PUT', body: blob });
  }
  const describe = (mediaType: string, blob: Buffer): object => {
    return { mediaType, size: blob.length, digest: digestOf(blob) };
  };
  const mediaType = `${docker}.distribution.manifest.v2+json`;
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: describe(`${docker}.container.image.v1+json`, config),
    layers: layers.map((layer) => describe(`${docker}.image.rootfs.diff.tar.gzip`, layer)),
  };
  const body = Buffer.from(JSON.stringify(manifest, null, indent));
  await ask(place, 'manifests/1', { method: 'PUT', headers: { 'content-type': mediaType }, body });
  return {
    imageId: digestOf(config),
    digest: digestOf(body),
    size: body.length,
    config: { os: 'linux', architecture },
    timings: {},
    sentBytes: 0,
  };
}

async function ask({ host, repository }: Place, path: string, init: RequestInit): Promise<Response> {
  const answer = await fetch(new URL(path, `http://${host}/v2/${repository}/`), init);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${init.method} ${path}: ${answer.status} ${text}`);
  return answer;
}

function digestOf(bytes: Buffer): `sha256:${string}` {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

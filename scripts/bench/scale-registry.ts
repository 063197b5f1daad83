/** A registry in memory, as far as a coordinator speaks to one; what agents push is put in without HTTP. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { PushedImage } from '../../shared/task.ts';
import { parsePlatform } from '../../shared/platform.ts';

interface StoredManifest {
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly digest: string;
}

export interface ScaleRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly requests: number;
  /** An image of its own under `HOST/REPOSITORY:TAG`. */
  push(image: string, platform: string): PushedImage;
  manifest(repository: string, reference: string): StoredManifest | undefined;
}

const docker = 'application/vnd.docker';
const manifestType = `${docker}.distribution.manifest.v2+json`;
const layer = digestOf(Buffer.from('the one layer'));

export async function startScaleRegistry(): Promise<ScaleRegistry> {
  /** By `REPOSITORY REFERENCE`; references are tags and digests. */
  const manifests = new Map<string, StoredManifest>();
  /** By `REPOSITORY DIGEST`. */
  const blobs = new Set<string>();
  let [requests, images] = [0, 0];

  function put(repository: string, reference: string, manifest: StoredManifest): void {
    manifests.set(`${repository} ${reference}`, manifest);
    manifests.set(`${repository} ${manifest.digest}`, manifest);
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    requests += 1;
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://registry');
    const [, repository = '', kind, reference = ''] =
      /^\/v2\/(.+)\/(manifests|blobs)\/(.*)$/.exec(pathname) ?? [];
    const body = request.method === 'PUT' || request.method === 'PATCH' ? await buffer(request) : undefined;
    if (kind === undefined) return void response.writeHead(pathname === '/v2/' ? 200 : 404).end();
    if (kind === 'blobs') return answerBlob(request, response, { repository, reference, searchParams });
    if (request.method === 'PUT' && body !== undefined) {
      const mediaType = request.headers['content-type'] ?? '';
      const digest = digestOf(body);
      put(repository, reference, { bytes: body, mediaType, digest });
      return void response.writeHead(201, { 'docker-content-digest': digest }).end();
    }
    const found = manifests.get(`${repository} ${reference}`);
    if (found === undefined) return void response.writeHead(404).end();
    const { bytes, mediaType, digest } = found;
    response.writeHead(200, {
      'content-type': mediaType,
      'content-length': bytes.length,
      'docker-content-digest': digest,
    });
    return void response.end(request.method === 'HEAD' ? undefined : bytes);
  }

  function answerBlob(
    { method }: IncomingMessage,
    response: ServerResponse,
    {
      repository,
      reference,
      searchParams,
    }: { repository: string; reference: string; searchParams: URLSearchParams },
  ): void {
    const mount = searchParams.get('mount');
    if (method === 'POST' && mount !== null && blobs.has(`${searchParams.get('from')} ${mount}`)) {
      blobs.add(`${repository} ${mount}`);
      const location = `/v2/${repository}/blobs/${mount}`;
      return void response.writeHead(201, { location, 'docker-content-digest': mount }).end();
    }
    if (method === 'POST') {
      const location = `/v2/${repository}/blobs/uploads/${requests}`;
      return void response.writeHead(202, { location, range: '0-0' }).end();
    }
    if (method === 'DELETE') return void response.writeHead(204).end();
    response.writeHead(blobs.has(`${repository} ${reference}`) ? 200 : 404).end();
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const host = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  return {
    host,
    get requests() {
      return requests;
    },
    push(image, platform) {
      const [, repository = '', tag = ''] = /^[^/]+\/(.+):([^:/]+)$/.exec(image) ?? [];
      const { os, architecture, variant } = parsePlatform(platform);
      images += 1;
      const facts = { os, architecture, ...(variant === undefined ? {} : { variant }) };
      const config = Buffer.from(
        JSON.stringify({ ...facts, config: { Labels: { nonce: `${image} ${images}` } } }),
      );
      const digest = digestOf(config);
      for (const blob of [digest, layer]) blobs.add(`${repository} ${blob}`);
      const describe = (mediaType: string, of: { digest: string; size: number }): object => ({
        mediaType,
        ...of,
      });
      const bytes = Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: manifestType,
          config: describe(`${docker}.container.image.v1+json`, { digest, size: config.length }),
          layers: [describe(`${docker}.image.rootfs.diff.tar.gzip`, { digest: layer, size: 13 })],
        }),
      );
      const manifest = { bytes, mediaType: manifestType, digest: digestOf(bytes) };
      put(repository, tag, manifest);
      const timings = { build: 1, push: 1 };
      return {
        imageId: digest,
        digest: manifest.digest,
        size: bytes.length,
        config: facts,
        timings,
        sentBytes: 0,
      };
    },
    manifest: (repository, reference) => manifests.get(`${repository} ${reference}`),
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

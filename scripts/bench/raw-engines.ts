/** The floor: both engines' own BuildKit in parallel, push, and the list, with nothing but their APIs. */
import http from 'node:http';
import { buffer } from 'node:stream/consumers';
import tar from 'tar-fs';
import type { RunningFarm } from '../rig/farm.ts';

const platforms = [
  { platform: 'linux/amd64', suffix: 'amd64', entry: { architecture: 'amd64', os: 'linux' } },
  {
    platform: 'linux/arm64',
    suffix: 'arm64v8',
    entry: { architecture: 'arm64', os: 'linux', variant: 'v8' },
  },
] as const;

const manifestType = 'application/vnd.docker.distribution.manifest.v2+json';
const listType = 'application/vnd.docker.distribution.manifest.list.v2+json';

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

interface Sent {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: Buffer;
}

export class RawEngines {
  readonly #farm: Pick<RunningFarm, 'engines' | 'registry'>;
  readonly #directory: string;
  readonly #agent = new http.Agent({ keepAlive: true });

  constructor(farm: Pick<RunningFarm, 'engines' | 'registry'>, directory: string) {
    this.#farm = farm;
    this.#directory = directory;
  }

  async build(): Promise<void> {
    const context = await buffer(tar.pack(this.#directory));
    const children = await Promise.all(platforms.map((target) => this.#child(target, context)));
    const list = { schemaVersion: 2, mediaType: listType, manifests: children };
    const body = Buffer.from(JSON.stringify(list));
    const answer = await this.#registry('bench/raw/manifests/latest', {
      method: 'PUT',
      headers: { 'content-type': listType },
      body,
    });
    if (answer.status !== 201) throw new Error(`list: ${answer.status} ${answer.body.toString()}`);
  }

  async #child({ platform, suffix, entry }: (typeof platforms)[number], context: Buffer): Promise<object> {
    const { registry, engines } = this.#farm;
    const socketPath = new URL(engines[platform].host).pathname;
    const name = `${registry}/bench/raw-${suffix}`;
    const engine = (path: string, sent: Sent): Promise<Answer> => request({ socketPath, path, sent });
    const query = new URLSearchParams({ version: '2', t: name, platform });
    const built = await engine(`/build?${query.toString()}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-tar' },
      body: context,
    });
    if (!built.body.includes('moby.image.id')) throw new Error(`build: ${built.body.toString().slice(-500)}`);
    const pushed = await engine(`/images/${name}/push?tag=latest`, {
      method: 'POST',
      headers: { 'x-registry-auth': Buffer.from('{}').toString('base64url') },
    });
    const digest = /"Digest":"(sha256:[0-9a-f]{64})"/.exec(pushed.body.toString())?.[1];
    if (digest === undefined) throw new Error(`push: ${pushed.body.toString().slice(-500)}`);

    const manifest = await this.#registry(`bench/raw-${suffix}/manifests/${digest}`, {
      headers: { accept: manifestType },
    });
    const blobs = [...new Set(manifest.body.toString().match(/sha256:[0-9a-f]{64}/g))];
    await Promise.all(
      blobs.map((blob) =>
        this.#registry(`bench/raw/blobs/uploads/?mount=${blob}&from=bench/raw-${suffix}`, { method: 'POST' }),
      ),
    );
    await this.#registry(`bench/raw/manifests/${digest}`, {
      method: 'PUT',
      headers: { 'content-type': manifestType },
      body: manifest.body,
    });
    return { mediaType: manifestType, size: manifest.body.length, digest, platform: entry };
  }

  #registry(path: string, sent: Sent): Promise<Answer> {
    const [host = '', port = ''] = this.#farm.registry.split(':');
    return request({ host, port, path: `/v2/${path}`, agent: this.#agent, sent });
  }
}

async function request({ sent, ...where }: http.RequestOptions & { sent: Sent }): Promise<Answer> {
  const { method = 'GET', headers = {}, body = Buffer.alloc(0) } = sent;
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const outgoing = http.request({
      ...where,
      method,
      headers: { ...headers, 'content-length': body.length },
    });
    outgoing.on('response', resolve);
    outgoing.on('error', reject);
    outgoing.end(body);
  });
  return { status: response.statusCode ?? 0, headers: response.headers, body: await buffer(response) };
}

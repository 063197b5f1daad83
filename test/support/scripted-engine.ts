/**
 * The other side of the Engine API, as Docker with the containerd image store speaks it: an image's id is the digest of
 * what a push sends, and a push sends an index of the image and its provenance. Debian's own engine cannot be made to.
 * Sources: Engine API 1.44 and later, https://docs.docker.com/engine/storage/containerd/.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import { parseReference } from '../../shared/reference.ts';
import { provenImage, pushProven, type ProvenImage } from './provenance.ts';

export interface ScriptedEngine extends AsyncDisposable {
  /** As DOCKER_HOST takes it. */
  readonly host: string;
  /** What it built, in order. */
  readonly built: readonly ProvenImage[];
  /** References of pushes, in order. */
  readonly pushes: readonly string[];
  /** Bodies of builds, in order: the tars of clients that open no session. */
  readonly contexts: readonly Buffer[];
}

export interface ScriptedEngineOptions {
  readonly architecture: string;
  /** As this engine calls it: x86_64, aarch64. */
  readonly machine: string;
  /** So many pushes find that somebody else moved the tag to another image. */
  readonly stolenPushes?: number;
  /** Of its API; 1.52 if not given. */
  readonly apiVersion?: () => string;
  /** A build fails whose context, sent as a tar, has this text. */
  readonly failsOn?: string;
}

export async function startScriptedEngine(options: ScriptedEngineOptions): Promise<ScriptedEngine> {
  const { apiVersion = () => '1.52' } = options;
  const scratch = await scratchDirectory('scripted');
  const path = `${scratch.path}/docker.sock`;
  const built: ProvenImage[] = [];
  const pushes: string[] = [];
  const contexts: Buffer[] = [];
  const tags = new Map<string, ProvenImage>();
  const sessions = new Set<Duplex>();

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://engine');
    // Clients that negotiate put the version before the path.
    const pathname = decodeURIComponent(url.pathname.replace(/^\/v1\.\d+/, ''));
    const [, verb] = /([^/]+)$/.exec(pathname) ?? [];
    const image = built.find(({ index }) => pathname.includes(index.digest));
    if (pathname === '/_ping') response.end('OK');
    else if (pathname === '/version') json(response, { Version: '29.0.0', ApiVersion: apiVersion() });
    else if (pathname === '/info') json(response, { OSType: 'linux', Architecture: options.machine });
    else if (pathname === '/containers/json') json(response, []);
    else if (pathname === '/build') {
      const context = await buffer(request);
      contexts.push(context);
      if (options.failsOn !== undefined && context.includes(options.failsOn)) fail(response);
      else build(response);
    } else if (verb === 'json' && image !== undefined) {
      const { os, architecture } = image.platform;
      json(response, { Id: image.index.digest, Os: os, Architecture: architecture, RepoDigests: [] });
    } else if (verb === 'tag' && image !== undefined) {
      tags.set(`${url.searchParams.get('repo')}:${url.searchParams.get('tag')}`, image);
      response.writeHead(201).end();
    } else if (verb === 'push') {
      const name = pathname.slice('/images/'.length, -'/push'.length);
      await push(`${name}:${url.searchParams.get('tag')}`, response);
    } else json(response, { message: `no such thing: ${pathname}` }, 404);
  }

  function fail(response: ServerResponse): void {
    response.write(line({ stream: 'Step 1/1 : RUN make\n' }) + line({ stream: 'no rule to make it\n' }));
    response.end(line({ error: 'make returned a non-zero code: 2' }));
  }

  function build(response: ServerResponse): void {
    const image = provenImage({ os: 'linux', architecture: options.architecture });
    built.push(image);
    response.end(line({ id: 'moby.image.id', aux: { ID: image.index.digest } }));
  }

  async function push(reference: string, response: ServerResponse): Promise<void> {
    pushes.push(reference);
    const stolen = pushes.length <= (options.stolenPushes ?? 0);
    const image = stolen
      ? provenImage({ os: 'linux', architecture: options.architecture })
      : tags.get(reference);
    if (image === undefined) return json(response, { message: `no such image: ${reference}` }, 404);
    const { registry: host, repository, tag = 'latest' } = parseReference(reference);
    await pushProven({ host, repository, tag }, image);
    const { digest, bytes } = image.index;
    response.end(line({ aux: { Tag: tag, Digest: digest, Size: bytes.length } }));
  }

  const server = createServer((request, response) => {
    answer(request, response)
      .finally(() => request.resume())
      .catch(() => response.destroy());
  });
  // The session is opened, and this engine asks nothing over it.
  server.on('upgrade', (_request, socket: Duplex) => {
    sessions.add(socket);
    socket.on('error', () => {}).on('close', () => sessions.delete(socket));
    socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
  });
  server.listen(path);
  await once(server, 'listening');
  return {
    host: `unix://${path}`,
    built,
    pushes,
    contexts,
    async [Symbol.asyncDispose]() {
      for (const socket of sessions) socket.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      await scratch[Symbol.asyncDispose]();
    },
  };
}

function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function line(message: unknown): string {
  return `${JSON.stringify(message)}\n`;
}

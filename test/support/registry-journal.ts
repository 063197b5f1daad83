/**
 * A witness before a registry: notes every request that reached it, and for each manifest that is put, what it
 * was and whether all it refers to was there at that moment. Plain Node, sharing no code with the product.
 */
import { createHash } from 'node:crypto';
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';

export interface ManifestPut {
  readonly at: number;
  readonly repository: string;
  /** A tag or a digest. */
  readonly name: string;
  readonly body: string;
  readonly digest: string;
  /** What the registry said. */
  readonly status: number;
  /** Digests of children that the registry did not have when the request came. */
  readonly missing: readonly string[];
}

export interface RegistryJournal extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** `METHOD /path STATUS` in the order of the answers. */
  readonly requests: readonly string[];
  readonly puts: readonly ManifestPut[];
  /** Takes out puts that a test itself has spoilt. */
  forgive(which: (put: ManifestPut) => boolean): void;
}

const manifestPath = /^\/v2\/(.+)\/manifests\/([^/?]+)$/;

export async function startRegistryJournal(registry: string): Promise<RegistryJournal> {
  const requests: string[] = [];
  const puts: ManifestPut[] = [];

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const [, repository = '', name = ''] = manifestPath.exec(url) ?? [];
    const isPut = method === 'PUT' && name !== '';
    const body = isPut ? await bytesOf(request) : undefined;
    const at = Date.now();
    const missing =
      body === undefined
        ? []
        : await missingChildren(`http://${registry}/v2/${repository}`, body, headers.authorization);
    const answer = await ask(`http://${registry}${url}`, request, body);
    const status = answer.statusCode ?? 0;
    requests.push(`${method} ${url} ${status}`);
    if (body !== undefined) {
      const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
      puts.push({ at, repository, name, body: body.toString(), digest, status, missing });
    }
    response.writeHead(status, answer.headers);
    answer.pipe(response);
    answer.once('error', () => response.destroy());
  }

  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    host: `127.0.0.1:${address.port}`,
    requests,
    puts,
    forgive: (which) => void puts.splice(0, puts.length, ...puts.filter((put) => !which(put))),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function ask(url: string, request: IncomingMessage, body: Buffer | undefined): Promise<IncomingMessage> {
  const { method, headers } = request;
  return new Promise((resolve, reject) => {
    const onward = forward(url, { method, headers }, resolve);
    onward.once('error', reject);
    request.once('close', () => {
      if (!request.complete) onward.destroy();
    });
    if (body === undefined) request.pipe(onward);
    else onward.end(body);
  });
}

async function missingChildren(
  base: string,
  body: Buffer,
  authorization: string | undefined,
): Promise<string[]> {
  const children = digestsIn(body);
  const there = await Promise.all(
    children.map(async (digest) => {
      const headers = { accept: '*/*', ...(authorization === undefined ? {} : { authorization }) };
      return (await fetch(`${base}/manifests/${digest}`, { method: 'HEAD', headers })).ok;
    }),
  );
  return children.filter((_, index) => !there[index]);
}

function digestsIn(body: Buffer): string[] {
  const document: unknown = JSON.parse(body.toString());
  const children: unknown =
    typeof document === 'object' && document !== null ? Reflect.get(document, 'manifests') : [];
  if (!Array.isArray(children)) return [];
  return children.map((child: unknown) => String(Reflect.get(Object(child), 'digest')));
}

async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
  return Buffer.concat(pieces);
}

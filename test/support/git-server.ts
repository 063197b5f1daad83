/** Serves the repositories below a directory by git's own program for that, to whoever shows the password. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { buffers } from '../../shared/context/buffers.ts';
import { git } from './git.ts';
import { httpServer, type TestServer } from './http-server.ts';
import { collect } from './memory-tree.ts';

export interface GitServerOptions {
  readonly user: string;
  readonly password: string;
  /** Called with the path of each request that shows the password. */
  readonly onRequest?: (path: string) => void;
}

export function gitServer(directory: string, options: GitServerOptions): Promise<TestServer> {
  const { user, password, onRequest } = options;
  const expected = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const program = `${git('/', '--exec-path')}/git-http-backend`;
  return httpServer(async (request, response) => {
    if (request.headers.authorization !== expected) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
      return;
    }
    const { pathname, search } = new URL(request.url ?? '/', 'http://localhost');
    onRequest?.(pathname);
    await answer(program, { request, response }, { directory, pathname, query: search.slice(1) });
  });
}

async function answer(
  program: string,
  { request, response }: { readonly request: IncomingMessage; readonly response: ServerResponse },
  asked: { readonly directory: string; readonly pathname: string; readonly query: string },
): Promise<void> {
  const { headers, method = 'GET' } = request;
  const backend = spawn(program, {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      PATH: process.env['PATH'],
      GIT_PROJECT_ROOT: asked.directory,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: asked.pathname,
      QUERY_STRING: asked.query,
      REQUEST_METHOD: method,
      CONTENT_TYPE: headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(headers['git-protocol'] ?? ''),
    },
  });
  const closed = once(backend, 'close');
  const [output] = await Promise.all([collect(buffers(backend.stdout)), pipeline(request, backend.stdin)]);
  await closed;
  const end = output.indexOf('\r\n\r\n');
  const head = new Headers();
  for (const line of output.toString('latin1', 0, end).split('\r\n')) {
    const [name = '', value = ''] = line.split(': ', 2);
    head.set(name, value);
  }
  response.writeHead(Number.parseInt(head.get('status') ?? '200', 10), Object.fromEntries(head));
  response.end(output.subarray(end + 4));
}

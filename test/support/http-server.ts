/** A real HTTP server on a free port, for tests in which the other side is a fake. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export interface TestServer extends AsyncDisposable {
  readonly url: URL;
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

export async function httpServer(handler: Handler, host = '127.0.0.1'): Promise<TestServer> {
  const server = createServer((request, response) => {
    Promise.resolve(handler(request, response)).catch(() => response.destroy());
  });
  server.listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not a TCP server');
  return {
    url: new URL(`http://${host}:${address.port}/`),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** The whole body as JSON; undefined when there is none. */
export async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += String(chunk);
  return text === '' ? undefined : JSON.parse(text);
}

/** An HTTP server that notes what it was asked. */
import { httpServer, type Handler } from './http-server.ts';

export interface RunningServer extends AsyncDisposable {
  /** `ADDRESS:PORT` */
  readonly host: string;
  /** `METHOD /path?query` of each request so far. */
  readonly log: readonly string[];
}

export async function startServer(handler: Handler, address?: string): Promise<RunningServer> {
  const log: string[] = [];
  const server = await httpServer((request, response) => {
    log.push(`${request.method} ${request.url}`);
    return handler(request, response);
  }, address);
  return { host: server.url.host, log, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** A reverse proxy before a registry. A hook sees each request first and may answer it in the registry's place. */
import { request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { startServer, type RunningServer } from './logged-server.ts';

/** Returns true when it has answered, or broken, the request itself. */
export type Hook = (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

export function startFaultProxy(upstream: string, hook: Hook): Promise<RunningServer> {
  return startServer(async (request, response) => {
    if (await hook(request, response)) return;
    const { method, url, headers } = request;
    // The Host header stays, so that the registry's Locations lead back here.
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const onward = forward(`http://${upstream}${url}`, { method, headers }, resolve);
      onward.on('error', reject);
      request.pipe(onward);
    });
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    await pipeline(answer, response);
  });
}

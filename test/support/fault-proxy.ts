/** A reverse proxy before a registry. A hook sees each request first and may answer it in the registry's place, or after it. */
import { request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { startServer, type RunningServer } from './logged-server.ts';

/** Answers in the place of a registry that has done what it was asked: `answer` is what it said, its body untouched. */
export type Rewrite = (answer: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** Gives true when it has answered, or broken, the request itself; a `Rewrite` lets the registry see it before. */
export type Hook = (
  request: IncomingMessage,
  response: ServerResponse,
) => boolean | Rewrite | Promise<boolean | Rewrite>;

export function startFaultProxy(upstream: string, hook: Hook): Promise<RunningServer> {
  return startServer(async (request, response) => {
    const outcome = await hook(request, response);
    if (outcome === true) return;
    const { method, url, headers } = request;
    // The Host header stays, so that the registry's Locations lead back here.
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const onward = forward(`http://${upstream}${url}`, { method, headers }, resolve);
      onward.on('error', reject);
      request.pipe(onward);
    });
    if (outcome !== false) return outcome(answer, response);
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    await pipeline(answer, response);
  });
}

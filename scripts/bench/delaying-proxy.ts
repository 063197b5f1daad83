/** A registry that is further away: a reverse proxy that keeps every request for a while, and counts them. */
import { once } from 'node:events';
import {
  Agent,
  createServer,
  request as forward,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

export interface DelayingProxy extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** Since `restart`. */
  readonly requests: number;
  /** The longest chain of requests each of which came after the answer to the one before, since `restart` or `fromHere`. */
  readonly depth: number;
  restart(): void;
  /** Counts depth anew. */
  fromHere(): void;
}

/** `delay`: milliseconds; with 0 it only counts. */
export async function startDelayingProxy(upstream: string, delay: number): Promise<DelayingProxy> {
  const agent = new Agent({ keepAlive: true });
  let requests = 0;
  let depth = 0;
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    requests++;
    const own = depth + 1;
    response.once('finish', () => (depth = Math.max(depth, own)));
    if (delay > 0) await sleep(delay);
    // The Host header stays, so that the registry's Locations lead back here.
    const { method, url, headers } = request;
    const onward = forward(`http://${upstream}${url}`, { method, headers, agent });
    onward.once('error', () => response.destroy());
    request.pipe(onward);
    onward.once('response', (answer: IncomingMessage) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      pipeline(answer, response).catch(() => response.destroy());
    });
  };
  const server = createServer((request, response) => void pass(request, response));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    host: `127.0.0.1:${address.port}`,
    get requests() {
      return requests;
    },
    get depth() {
      return depth;
    },
    restart() {
      requests = 0;
      depth = 0;
    },
    fromHere() {
      depth = 0;
    },
    async [Symbol.asyncDispose]() {
      agent.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Ports for services that a test names before it starts them, and starts again on the same one. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/** Below those that the kernel gives to connections and to whoever asks for any port. */
const first = 20_000;
const last = 32_000;

/**
 * A port of 127.0.0.1 that nobody else gets here while this process lives, also while nothing listens there: of two that
 * were given the same one, the second would have talked to the service of the first.
 */
export async function freePort(): Promise<number> {
  const start = Math.floor(Math.random() * (last - first));
  for (let step = 0; step < last - first; step += 1) {
    const port = first + ((start + step) % (last - first));
    // An abstract socket is in no directory, and gone with its process.
    const claim = await listening(createServer(), `\0archfarm-port-${port}`);
    if (claim === undefined) continue;
    claim.unref();
    const probe = await listening(createServer(), port);
    if (probe === undefined) continue;
    probe.close();
    await once(probe, 'close');
    return port;
  }
  throw new Error(`no port from ${first} to ${last} is free`);
}

/** Undefined where the place is taken. */
async function listening(server: Server, place: string | number): Promise<Server | undefined> {
  if (typeof place === 'number') server.listen(place, '127.0.0.1');
  else server.listen(place);
  try {
    await once(server, 'listening');
    return server;
  } catch {
    return undefined;
  }
}

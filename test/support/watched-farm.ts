/** A coordinator in a process of its own with a neighbour at work, for those who would disturb either. */
import { Resources } from '../../scripts/rig/resources.ts';
import { startFarmProcesses, type FarmProcesses } from './farm-processes.ts';
import { httpServer } from './http-server.ts';
import { neighbourAt, type Neighbour } from './neighbour.ts';
import { toBeAsked } from './process-memory.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import { unharmed, type Repetition } from './unharmed.ts';

export interface WatchedFarm extends AsyncDisposable, Pick<FarmProcesses, 'address' | 'env' | 'dir'> {
  readonly url: URL;
  /** A registry that takes everything, as `HOST:PORT`. */
  readonly registry: string;
  readonly neighbour: Neighbour;
  /** The input leaves coordinator, neighbour and memory as they are, however often it comes. */
  unharmed(how: Repetition, input: (round: number) => Promise<void>): Promise<void>;
}

export async function watchedFarm(coordinatorEnv: NodeJS.ProcessEnv = {}): Promise<WatchedFarm> {
  await using parts = new Resources();
  const directory = parts.use(await temporaryDirectory());
  const memory = `${directory.path}/memory.sock`;
  const registry = parts.use(
    await httpServer((request, response) => {
      const [status, headers] =
        request.method === 'POST'
          ? [202, { location: '/v2/upload' }]
          : [request.method === 'GET' ? 404 : 202];
      request.resume();
      response.writeHead(status, headers).end();
    }),
  );
  const farm = parts.use(
    await startFarmProcesses({ agents: [], coordinatorEnv: { ...toBeAsked(memory), ...coordinatorEnv } }),
  );
  const url = new URL(`http://${farm.address}/`);
  const neighbour = parts.use(await neighbourAt(url, registry.url.host));
  const subject = { pid: farm.coordinator.pid, memory, exchange: () => neighbour.exchange() };
  const all = parts.move();
  return {
    address: farm.address,
    env: farm.env,
    dir: farm.dir,
    url,
    registry: registry.url.host,
    neighbour,
    unharmed: (how, input) => unharmed(subject, how, input),
    [Symbol.asyncDispose]: () => all[Symbol.asyncDispose](),
  };
}

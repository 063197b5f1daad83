/** A worker inside the test's process: its own data directory, an engine behind a fake socket, fast timers. */
import { join } from 'node:path';
import { ContextLink } from '../../agent/context-link.ts';
import { EngineWatch } from '../../agent/engine-watch.ts';
import { Engine } from '../../agent/engine/engine.ts';
import { writeMessage } from '../../agent/engine/protobuf.ts';
import { Journal } from '../../agent/journal.ts';
import { OwnImages } from '../../agent/own-images.ts';
import { Worker } from '../../agent/worker.ts';
import { Cleanup } from '../../shared/cleanup.ts';
import { silentLogger } from '../../shared/log.ts';
import { defaultTimers, type Timers } from '../../shared/timers.ts';
import { currentVersion, startFakeEngine } from '../agent/engine/fake-engine.ts';

export interface WorkerSetup {
  readonly coordinator: URL;
  /** The journal's; a second worker on it is the first one after a restart. */
  readonly data: string;
  readonly slots?: number;
  readonly timers?: Partial<Timers>;
  readonly token?: string;
  /** Sees the journal before the worker has it. */
  readonly onJournal?: (journal: Journal) => void;
}

export interface RunningWorker extends AsyncDisposable {
  readonly worker: Worker;
  /** Settles when the worker has stopped. */
  readonly stopped: Promise<void>;
  /** Ends it as a killed process ends: nothing is finished. */
  kill(): Promise<void>;
}

/** A build that says something and then fails, as BuildKit words it. */
export const failingBuild = [
  JSON.stringify({ id: 'moby.buildkit.trace', aux: traceOf('[1/1] RUN false', 'it went wrong\n') }),
  JSON.stringify({ errorDetail: { message: 'process "false" did not complete: exit code: 1' } }),
].join('\n');

export async function startWorker(setup: WorkerSetup): Promise<RunningWorker> {
  const cleanup = new Cleanup();
  const timers: Timers = { ...defaultTimers, reconnect: 10, reconnectMax: 50, progress: 10, ...setup.timers };
  const fake = await startFakeEngine({
    ...currentVersion,
    'GET /info': JSON.stringify({ OSType: 'linux', Architecture: 's390x' }),
    'POST /build': failingBuild,
  });
  cleanup.defer(() => fake[Symbol.asyncDispose]());
  const stop = new AbortController();
  const engine = new Engine({ host: fake.host, environment: {}, dataDirectory: setup.data });
  const watch = new EngineWatch({ engine, restrictTo: ['linux/s390x'], log: silentLogger });
  await watch.start(stop.signal);
  const config = {
    coordinator: setup.coordinator,
    token: setup.token,
    trust: () => ({}),
    name: 'pi-01',
    platforms: undefined,
    slots: setup.slots ?? 1,
    weight: 1,
    labels: { room: 'lab' },
    data: setup.data,
    cache: setup.data,
    contextStore: {},
    docker: fake.host,
    minFree: { share: 0, bytes: 0 },
    keepCache: undefined,
    policy: ['all'],
    buildTimeout: undefined,
  };
  const journal = await Journal.open(join(setup.data, 'journal'));
  cleanup.defer(() => journal.close());
  setup.onJournal?.(journal);
  const contexts = await ContextLink.open({ config, timers, log: silentLogger });
  cleanup.defer(() => contexts.close());
  const images = await OwnImages.open(join(setup.data, 'images'));
  const worker = new Worker({ config, timers, engine: watch, journal, contexts, images, log: silentLogger });
  const stopped = worker.run();
  const end = async (): Promise<void> => {
    await worker.abort('the test is over');
    await stopped;
    await cleanup[Symbol.asyncDispose]();
  };
  return { worker, stopped, kill: end, [Symbol.asyncDispose]: end };
}

/** `moby.buildkit.v1.StatusResponse` of one step with some output. */
export function traceOf(name: string, output: string): string {
  const digest = `sha256:${'c'.repeat(64)}`;
  const vertex = writeMessage([
    [1, digest],
    [3, name],
    [5, writeMessage([[1, 1_700_000_000]])],
  ]);
  const log = writeMessage([
    [1, digest],
    [3, 1],
    [4, Buffer.from(output)],
  ]);
  return Buffer.from(
    writeMessage([
      [1, vertex],
      [3, log],
    ]),
  ).toString('base64');
}

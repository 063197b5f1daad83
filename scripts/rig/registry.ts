/** A registry of its own on a free port of 127.0.0.1: Debian's docker-registry over a directory in /tmp. */
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { startDaemon } from './daemon.ts';
import { Resources } from './resources.ts';
import { scratchDirectory } from './scratch.ts';

export interface RunningRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly dir: string;
  /** What it was asked so far: one line a request, in the combined log format. */
  accessLog(): Promise<string[]>;
}

export interface RegistryOptions {
  /** The `auth` section of its configuration: `{ htpasswd: { realm, path } }`, `{ token: { … } }`. */
  readonly auth?: Readonly<Record<string, unknown>>;
  readonly port?: number;
  /** Keeps everything in memory: quicker where very much is put. */
  readonly inMemory?: boolean;
  /** Runs as it would by itself, for measurements. */
  readonly untuned?: boolean;
  /** Files; with `clientcas` it wants a client certificate of these authorities. */
  readonly tls?: {
    readonly certificate: string;
    readonly key: string;
    readonly clientcas?: readonly string[];
  };
}

export async function startRegistry(options: RegistryOptions = {}): Promise<RunningRegistry> {
  await using started = new Resources();
  const scratch = started.use(await scratchDirectory('registry'));
  const log = `${scratch.path}/registry.log`;
  const stdout = `${scratch.path}/access.log`;
  const config = `${scratch.path}/config.yml`;
  // JSON is YAML.
  await writeFile(
    config,
    JSON.stringify({
      version: 0.1,
      log: { fields: { service: 'registry' } },
      storage: {
        ...(options.inMemory === true
          ? { inmemory: {} }
          : { filesystem: { rootdirectory: `${scratch.path}/data` } }),
        delete: { enabled: true },
        cache: { blobdescriptor: 'inmemory' },
      },
      http: {
        addr: `127.0.0.1:${options.port ?? 0}`,
        secret: randomUUID(),
        ...(options.tls === undefined ? {} : { tls: options.tls }),
      },
      ...(options.auth === undefined ? {} : { auth: options.auth }),
    }),
  );
  let host = '';
  started.use(
    await startDaemon(['docker-registry', 'serve', config], {
      log,
      stdout,
      // Its heap is so small that collecting it takes as much processor time as all else.
      env: options.untuned === true ? process.env : { ...process.env, GOGC: '1000' },
      grace: 1_000,
      ready: async () => {
        // It writes down the port that the kernel chose.
        host = /listening on (127\.0\.0\.1:\d+)/.exec(await readFile(log, 'utf8'))?.[1] ?? '';
        return host !== '';
      },
    }),
  );
  const resources = started.move();
  return {
    host,
    dir: scratch.path,
    accessLog: async () => (await readFile(stdout, 'utf8')).split('\n').filter((line) => line !== ''),
    [Symbol.asyncDispose]: () => resources[Symbol.asyncDispose](),
  };
}

/** One build: a session, the build request that refers to it, and a hard look at what came out. */
import * as v from 'valibot';
import { ArchfarmError } from '../../shared/errors.ts';
import type { Digest } from '../../shared/context/tree.ts';
import { formatPlatform, parsePlatform, samePlatform, type Platform } from '../../shared/platform.ts';
import type { TaskEvent } from '../../shared/progress.ts';
import { isDigest } from '../../shared/reference.ts';
import type { Task } from '../../shared/task.ts';
import type { Connection } from './connection.ts';
import { fromFailedBuild } from './engine-error.ts';
import { fileSyncMethods } from './filesync.ts';
import { inspectImage, type ImageFacts } from './image.ts';
import { errorOf, readMessages, type EngineMessage } from './messages.ts';
import type { MtimeStore } from './mtimes.ts';
import { serviceMethods, type BuildServices } from './services.ts';
import { openSession } from './session.ts';
import { Trace } from './trace.ts';

export interface BuildOptions {
  readonly task: Task;
  readonly services: BuildServices;
  readonly mtimes: MtimeStore;
  readonly signal: AbortSignal;
  readonly onEvent: (event: TaskEvent) => void;
  /** Bytes of contents handed to the engine so far; called for each piece of at most 64 KiB. */
  readonly onEngineBytes?: ((bytes: number) => void) | undefined;
}

export interface BuiltImage {
  readonly imageId: Digest;
  /** Bytes of contents handed to the engine. */
  readonly engineBytes: number;
}

/** Builds without a tag. Rejects with the signal's reason when it aborts; the engine then stops at once. */
export async function build(connection: Connection, options: BuildOptions): Promise<BuiltImage> {
  const { task, services, signal, onEvent, onEngineBytes } = options;
  const failures: Error[] = [];
  let engineBytes = 0;
  await using mtimes = await options.mtimes.open(task.contextKey);
  await using session = await openSession(connection, {
    sharedKey: mtimes.sharedKey,
    signal,
    onError: (error) => failures.push(error),
    methods: {
      ...serviceMethods({ services, secrets: task.secrets, ssh: task.ssh }),
      ...fileSyncMethods({
        trees: { context: task.context.root, dockerfile: task.dockerfile.root },
        source: services.context,
        mtimes,
        onBytes(bytes) {
          engineBytes += bytes;
          onEngineBytes?.(engineBytes);
        },
      }),
    },
  });
  const query = queryOf(task, session.id);
  const outcome = await run(connection, { query, signal, onEvent });
  if (outcome.error !== undefined) {
    // The engine repeats what a service of ours said; the error itself says it better, and has its code.
    const own = failures.find((failure) => outcome.error?.includes(failure.message));
    // Of an ssh agent that is away a step sees nothing but a connection that closes, and fails in words of its own.
    const away = failures.find(
      (failure) => failure instanceof ArchfarmError && failure.code === 'client-gone',
    );
    throw own ?? away ?? fromFailedBuild(outcome.error, { host: connection.host, step: outcome.failedStep });
  }
  if (outcome.imageId === undefined) {
    throw (
      failures[0] ?? new ArchfarmError('engine-error', `${connection.host} ended the build without a result`)
    );
  }
  await verifyPlatform(connection, { imageId: outcome.imageId, platform: task.platform, signal });
  return { imageId: outcome.imageId, engineBytes };
}

interface Outcome {
  readonly imageId?: Digest | undefined;
  readonly error?: string | undefined;
  /** Its name. */
  readonly failedStep?: string | undefined;
}

interface RunOptions {
  readonly query: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
  readonly onEvent: (event: TaskEvent) => void;
}

async function run(connection: Connection, { query, signal, onEvent }: RunOptions): Promise<Outcome> {
  let imageId: Digest | undefined;
  let error: string | undefined;
  let failedStep: string | undefined;
  const trace = new Trace((event) => {
    if (event.type === 'step' && event.status === 'failed') failedStep ??= event.name;
    onEvent(event);
  });
  const stream = await connection.stream('/build', { signal, query });
  try {
    for await (const message of readMessages(stream)) {
      if (message.id === 'moby.buildkit.trace') trace.push(traceOf(message));
      else if (message.id === 'moby.image.id') imageId = imageIdOf(message);
      error = errorOf(message) ?? error;
    }
  } catch (thrown) {
    throw connection.failure(thrown, signal);
  } finally {
    trace.end();
  }
  return { imageId, error, failedStep };
}

function queryOf(task: Task, session: string): Record<string, unknown> {
  return {
    version: '2',
    remote: 'client-session',
    session,
    dockerfile: task.dockerfile.name,
    platform: task.platform,
    buildargs: task.args,
    labels: task.labels,
    ...(task.target === undefined ? {} : { target: task.target }),
    ...(task.noCache ? { nocache: '1' } : {}),
    ...(task.pull ? { pull: '1' } : {}),
    ...(task.network === undefined ? {} : { networkmode: task.network }),
    extrahosts: task.extraHosts,
  };
}

function traceOf({ aux }: EngineMessage): Buffer {
  return Buffer.from(v.parse(v.string(), aux), 'base64');
}

function imageIdOf({ aux }: EngineMessage): Digest {
  return v.parse(v.object({ ID: v.pipe(v.string(), v.check(isDigest)) }), aux).ID;
}

interface Verification {
  readonly imageId: Digest;
  readonly platform: string;
  readonly signal: AbortSignal;
}

async function verifyPlatform(
  connection: Connection,
  { imageId, platform, signal }: Verification,
): Promise<void> {
  const wanted = parsePlatform(platform);
  const built = await inspectImage(connection, { imageId, signal });
  // BuildKit leaves the variant out of what it makes for arm64; only one that is there counts.
  if (samePlatform({ ...wanted, ...platformOf(built) }, wanted)) return;
  throw new ArchfarmError(
    'wrong-architecture',
    `the build for ${formatPlatform(wanted)} made an image for ${formatPlatform(platformOf(built))}`,
    { hint: 'does a FROM name one platform, by --platform or by the digest of a single image?' },
  );
}

function platformOf({ os, architecture, variant }: ImageFacts): Platform {
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

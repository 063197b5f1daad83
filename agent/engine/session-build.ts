/** One build request to an engine, and the session that answers what the engine asks meanwhile. */
import * as v from 'valibot';
import { ArchfarmError } from '../../shared/errors.ts';
import type { Selection } from '../../shared/context/select.ts';
import type { ContextSource, Digest } from '../../shared/context/tree.ts';
import type { Mask } from '../../shared/mask/mask.ts';
import type { TaskEvent } from '../../shared/progress.ts';
import { isDigest } from '../../shared/reference.ts';
import type { Connection } from './connection.ts';
import { fromFailedBuild } from './engine-error.ts';
import { fileSyncMethods, type FileSyncOptions } from './filesync.ts';
import { errorOf, readMessages, type EngineMessage } from './messages.ts';
import type { MtimeStore } from './mtimes.ts';
import { serviceMethods, type ServiceOptions } from './services.ts';
import { openSession } from './session.ts';
import { Trace } from './trace.ts';

export interface SessionBuild extends ServiceOptions {
  readonly trees: FileSyncOptions['trees'];
  readonly source: ContextSource;
  readonly mtimes: MtimeStore;
  /** What the engine's copy of the trees, and the record of its modification times, are kept under. */
  readonly contextKey: string;
  /** Formatted. */
  readonly platform: string;
  /** Parameters of the Engine API's build request, but for the session and the platform. */
  readonly query: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
  /** Of what its steps print; it may come to know more meanwhile. */
  readonly mask: Mask;
  readonly onEvent: (event: TaskEvent) => void;
  /** See TraceOptions. */
  readonly onSign?: (() => void) | undefined;
  /** Bytes of contents handed to the engine, as they go. */
  readonly onBytes: (bytes: number) => void;
  readonly onSelection?: ((root: Digest, selection: Selection) => void) | undefined;
}

/** Gives the image's id. Rejects with the signal's reason when it aborts; the engine then stops at once. */
export async function buildInSession(connection: Connection, options: SessionBuild): Promise<Digest> {
  const failures: Failure[] = [];
  await using mtimes = await options.mtimes.open(options.contextKey);
  await using session = await openSession(connection, {
    sharedKey: mtimes.sharedKey,
    signal: options.signal,
    onError: (error) => failures.push({ error, at: Date.now() }),
    methods: { ...serviceMethods(options), ...fileSyncMethods({ ...options, mtimes }) },
  });
  const outcome = await run(connection, session.id, options);
  if (outcome.error !== undefined) {
    const own = ownFailure(failures, { text: outcome.error, step: outcome.failedStep });
    throw own ?? fromFailedBuild(outcome.error, { host: connection.host, step: outcome.failedStep?.name });
  }
  if (outcome.imageId === undefined) {
    throw (
      failures[0]?.error ??
      new ArchfarmError('engine-error', `${connection.host} ended the build without a result`)
    );
  }
  return outcome.imageId;
}

/** What a service of ours threw. */
interface Failure {
  readonly error: Error;
  /** Milliseconds since 1970. */
  readonly at: number;
}

interface FailedStep {
  readonly name: string;
  /** As far as can be told; milliseconds since 1970. */
  readonly startedAt: number;
}

interface Outcome {
  readonly imageId?: Digest | undefined;
  readonly error?: string | undefined;
  readonly failedStep?: FailedStep | undefined;
}

/** Milliseconds that the engine's word of a step may take to come here. */
const lateness = 1_000;

/** Which of our services is why the build failed, if one is. */
function ownFailure(
  failures: readonly Failure[],
  failed: { readonly text: string; readonly step: FailedStep | undefined },
): Error | undefined {
  // The engine repeats what a service of ours said; the error itself says it better, and has its code.
  const repeated = failures.find(({ error }) => failed.text.includes(error.message));
  if (repeated !== undefined) return repeated.error;
  // Of an ssh agent that is away a step sees nothing but a connection that closes, and fails in words of its own, or goes on
  // without: then one that starts later has nothing to do with it.
  const since = (failed.step?.startedAt ?? 0) - lateness;
  const away = failures.find(
    ({ error, at }) => error instanceof ArchfarmError && error.code === 'client-gone' && at >= since,
  );
  return away?.error;
}

async function run(connection: Connection, session: string, options: SessionBuild): Promise<Outcome> {
  const { platform, signal, mask, onEvent, onSign } = options;
  let imageId: Digest | undefined;
  let error: string | undefined;
  let failedStep: FailedStep | undefined;
  const trace = new Trace({
    mask,
    onEvent(event) {
      if (event.type === 'step' && event.status === 'failed') {
        // By how long it took: an engine elsewhere has a clock of its own.
        failedStep ??= { name: event.name, startedAt: event.time - (event.duration ?? Infinity) };
      }
      onEvent(event);
    },
    onSign,
  });
  const query = { version: '2', remote: 'client-session', session, platform, ...options.query };
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

function traceOf({ aux }: EngineMessage): Buffer {
  return Buffer.from(v.parse(v.string(), aux), 'base64');
}

function imageIdOf({ aux }: EngineMessage): Digest {
  return v.parse(v.object({ ID: v.pipe(v.string(), v.check(isDigest)) }), aux).ID;
}

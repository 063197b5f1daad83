/** One attempt, from its context to the pushed digest. */
import { ChildAbort } from '../shared/abort.ts';
import type { Selection } from '../shared/context/select.ts';
import type { Digest } from '../shared/context/tree.ts';
import { ArchfarmError, messageOf, toErrorInfo, type ErrorCode } from '../shared/errors.ts';
import { Mask } from '../shared/mask/mask.ts';
import { maskedEvent, maskedOutcome } from '../shared/mask/masked.ts';
import type { Answer, Question } from '../shared/messages.ts';
import type { TaskEvent, Timings } from '../shared/progress.ts';
import { treesOf, type Outcome, type RegistryAuth, type Task } from '../shared/task.ts';
import { requireAllowed, withinLimit, type BuildRules } from './build-rules.ts';
import { inConfidence, learnSecrets } from './confidence.ts';
import type { BuiltImage } from './engine/build.ts';
import type { BuildCall, Engine } from './engine/engine.ts';
import type { Pushed } from './engine/push.ts';
import type { BuildServices } from './engine/services.ts';
import type { JobContext } from './context-link.ts';
import type { Duplex } from 'node:stream';

export interface JobServices {
  readonly engine: Engine;
  readonly context: JobContext;
  /** What the owner of this host lets builds do. */
  readonly rules: BuildRules;
  readonly ask: (question: Question, signal: AbortSignal) => Promise<Answer>;
  /** A connection to the agent socket of the client that asked for the build. */
  ssh(id: string, signal: AbortSignal): Promise<Duplex>;
}

export interface JobOptions {
  readonly signal: AbortSignal;
  readonly onEvent: (event: TaskEvent) => void;
  /** See BuildOptions. */
  readonly onSelection?: (root: Digest, selection: Selection) => void;
  /** The engine has the image. */
  readonly onBuilt?: (imageId: Digest) => void;
}

/** Errors that another host would meet as well: no further attempt is made. */
const buildErrors: ReadonlySet<ErrorCode> = new Set([
  'build-failed',
  'wrong-architecture',
  'test-failed',
  'context-changed',
  'context-invalid',
  'context-limit',
  'secret-missing',
  'client-gone',
  'registry-denied',
  'config',
  'usage',
  'timeout',
]);

interface Work extends JobOptions {
  readonly mask: Mask;
}

/** Never rejects: whatever happens is the attempt's outcome. No secret is in that, nor in an event. */
export async function runJob(task: Task, services: JobServices, options: JobOptions): Promise<Outcome> {
  const mask = new Mask();
  // Output is masked as it comes, before it is cut into lines.
  const onEvent = (event: TaskEvent): void =>
    options.onEvent(event.type === 'log' ? event : maskedEvent(event, mask));
  const confidential = { ...services, ask: inConfidence(services.ask, mask) };
  return maskedOutcome(await run(task, confidential, { ...options, onEvent, mask }), mask);
}

async function run(task: Task, services: JobServices, options: Work): Promise<Outcome> {
  const timings: Mutable<Timings> = {};
  const { engine, context, ask } = services;
  using stop = new ChildAbort(options.signal, engine.lost);
  const { signal } = stop;
  const work = { ...options, signal };
  try {
    await timed(timings, 'context', () =>
      Promise.all([
        context.prepare(treesOf(task), { limits: task.contextLimits, signal }),
        learnSecrets(task.secrets, { ask, signal }),
      ]),
    );
    await requireAllowed(task, services, signal);
    const { onEngineBytes, onSign } = reporter(context, work);
    const image = await timed(timings, 'build', () =>
      withinLimit(services.rules, signal, (signal) =>
        engine.build(task, buildServices(task, services), { ...work, signal, onEngineBytes, onSign }),
      ),
    );
    options.onBuilt?.(image.imageId);
    const { test } = task;
    if (test !== undefined) {
      // Programs of another platform may run here, too, emulated: then what they do would be no test of this image.
      const { imageId } = image;
      await engine.checkPrograms({ imageId, reference: task.image, platform: task.platform }, work);
      await timed(timings, 'test', () => engine.test({ imageId, test }, { ...work, onSign }));
    }
    const pushed = await timed(timings, 'push', () => pushChecked(task, image, { services, options: work }));
    return {
      status: 'pushed',
      image: {
        imageId: image.imageId,
        digest: pushed.digest,
        size: pushed.size,
        config: image.config,
        timings,
        sentBytes: context.sentBytes,
      },
    };
  } catch (error) {
    if (options.signal.aborted) return { status: 'cancelled', reason: messageOf(options.signal.reason) };
    const info = toErrorInfo(error, 'engine-error');
    const kind = buildErrors.has(info.code) ? 'build' : 'infrastructure';
    return { status: 'failed', kind, error: info, timings, sentBytes: context.sentBytes };
  }
}

/** Milliseconds between two words on how much of the context has moved. */
const contextEvery = 1000;
/** Milliseconds between two words of work that has no events of its own: what gives no sign for long is taken for stalled. */
const signEvery = 5000;

/** Says at first, and then now and again, how many bytes of contents moved; and the same again where nothing else is to be said. */
function reporter(
  context: JobContext,
  { onEvent }: JobOptions,
): Required<Pick<BuildCall, 'onEngineBytes' | 'onSign'>> {
  let saidAt = 0;
  let engineBytes = 0;
  const say = (every: number): void => {
    const time = Date.now();
    if (time - saidAt < every) return;
    saidAt = time;
    onEvent({ type: 'context', time, engineBytes, sentBytes: context.sentBytes });
  };
  return {
    onEngineBytes(bytes) {
      engineBytes = bytes;
      say(contextEvery);
    },
    onSign: () => say(signEvery),
  };
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

async function timed<T>(timings: Mutable<Timings>, phase: keyof Timings, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  try {
    return await work();
  } finally {
    timings[phase] = Math.round(performance.now() - start);
  }
}

/** The push does not wait for the check of the image's programs, but counts only with it. */
async function pushChecked(
  task: Task,
  { imageId }: BuiltImage,
  { services, options }: { services: JobServices; options: JobOptions },
): Promise<Pushed> {
  using stop = new ChildAbort(options.signal);
  const together = { ...options, signal: stop.signal };
  const push = async (): Promise<Pushed> => {
    const auth = (signal: AbortSignal): Promise<RegistryAuth> =>
      askAuth(services, { kind: 'push-auth' }, signal);
    return services.engine.push({ imageId, reference: task.image, auth }, together);
  };
  const check = async (): Promise<void> => {
    try {
      await services.engine.checkPrograms(
        { imageId, reference: task.image, platform: task.platform },
        options,
      );
    } catch (error) {
      stop.abort(error);
      throw error;
    }
  };
  // Both are over before this is, and what the check says goes before what became of the push.
  const [checked, pushed] = await Promise.allSettled([check(), push()]);
  if (checked.status === 'rejected') throw checked.reason;
  if (pushed.status === 'rejected') throw pushed.reason;
  return pushed.value;
}

function buildServices(task: Task, services: JobServices): BuildServices {
  return {
    context: services.context,
    async pullScheme(host, signal) {
      const answer = given(await services.ask({ kind: 'pull-scheme', host }, signal));
      if (answer.kind !== 'pull-scheme') throw wrongAnswer('pull-scheme', answer);
      return answer.scheme;
    },
    pullAuth: (wanted, signal) => askAuth(services, { kind: 'pull-auth', ...wanted }, signal),
    async secret(id, signal) {
      if (!task.secrets.includes(id)) throw noSecret(id);
      const answer = given(await services.ask({ kind: 'secret', id }, signal));
      if (answer.kind !== 'secret') throw wrongAnswer('secret', answer);
      return Buffer.from(answer.value, 'base64');
    },
    async ssh(id, signal) {
      if (task.ssh.includes(id)) return services.ssh(id, signal);
      throw new ArchfarmError('config', `the build has no ssh agent ${JSON.stringify(id)}`, {
        hint: `give --ssh ${id}`,
      });
    },
  };
}

async function askAuth(
  services: JobServices,
  question: Question,
  signal: AbortSignal,
): Promise<RegistryAuth> {
  const answer = given(await services.ask(question, signal));
  if (answer.kind === 'auth') return answer.auth;
  throw wrongAnswer(question.kind, answer);
}

/** Throws the coordinator's error. */
function given(answer: Answer): Exclude<Answer, { kind: 'error' }> {
  if (answer.kind !== 'error') return answer;
  throw new ArchfarmError(answer.error.code, answer.error.message, answer.error);
}

function noSecret(id: string): ArchfarmError {
  return new ArchfarmError('secret-missing', `the build has no secret ${JSON.stringify(id)}`, {
    hint: `give --secret id=${id}`,
  });
}

function wrongAnswer(asked: string, answer: Answer): ArchfarmError {
  return new ArchfarmError('protocol', `asked for ${asked}, the coordinator answered ${answer.kind}`);
}

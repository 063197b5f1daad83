/** A task over contents in memory, run on an engine. */
import type { Duplex } from 'node:stream';
import { Engine } from '../../../agent/engine/engine.ts';
import type { BuiltImage } from '../../../agent/engine/build.ts';
import type { BuildServices } from '../../../agent/engine/services.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import { Mask } from '../../../shared/mask/mask.ts';
import type { TaskEvent } from '../../../shared/progress.ts';
import type { Task } from '../../../shared/task.ts';
import { file, memoryContext, type Contents } from './memory-context.ts';

export interface BuildRun {
  readonly image: BuiltImage;
  readonly events: readonly TaskEvent[];
  /** Of all steps that wrote to this stream, in order. */
  readonly stdout: string;
  readonly stderr: string;
}

export interface BuildSetup {
  readonly contents?: Contents;
  readonly dockerfile: string;
  /** Of additional contexts. */
  readonly contexts?: Readonly<Record<string, Contents>>;
  readonly task?: Partial<Task>;
  readonly services?: Partial<BuildServices>;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: TaskEvent) => void;
}

export async function runBuild(engine: Engine, setup: BuildSetup): Promise<BuildRun> {
  const context = memoryContext();
  const tree = context.add(setup.contents ?? {});
  const { root } = context.add({ Dockerfile: file(setup.dockerfile) });
  const named = Object.entries(setup.contexts ?? {}).map(([name, contents]) => ({
    name,
    ...context.add(contents),
  }));
  const task: Task = {
    build: 'b1',
    platform: 'linux/amd64',
    image: '127.0.0.1:1/test:latest',
    context: { ...tree, name: 'test' },
    dockerfile: { root, name: 'Dockerfile' },
    contexts: named,
    args: {},
    labels: {},
    noCache: false,
    pull: false,
    network: 'none',
    extraHosts: [],
    cacheFrom: [],
    secrets: [],
    ssh: [],
    contextKey: 'test',
    ...setup.task,
  };
  const services: BuildServices = {
    context,
    pullScheme: async () => 'anonymous',
    pullAuth: async () => ({ type: 'anonymous' }),
    secret: async (id) => unavailable(`secret ${id}`),
    ssh: async (id): Promise<Duplex> => unavailable(`ssh agent ${id}`),
    ...setup.services,
  };
  const events: TaskEvent[] = [];
  const image = await engine.build(task, services, {
    signal: setup.signal ?? new AbortController().signal,
    mask: new Mask(),
    onEvent(event) {
      events.push(event);
      setup.onEvent?.(event);
    },
  });
  const output = (stream: string): string =>
    events
      .flatMap((event) => (event.type === 'log' && event.stream === stream ? [event.text] : []))
      .join('\n');
  return { image, events, stdout: output('stdout'), stderr: output('stderr') };
}

/** What a promise rejects with, which must be an error of ours. */
export async function failureOf(promise: Promise<unknown>): Promise<ArchfarmError> {
  const thrown: unknown = await promise.then(
    () => 'nothing was thrown',
    (error: unknown) => error,
  );
  if (thrown instanceof ArchfarmError) return thrown;
  throw new Error(`not an error of ours: ${String(thrown)}`, { cause: thrown });
}

function unavailable(what: string): never {
  throw new ArchfarmError('secret-missing', `${what} is not there`);
}

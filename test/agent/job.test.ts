import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine } from '../../agent/engine/engine.ts';
import { EngineWatch } from '../../agent/engine-watch.ts';
import type { BuildRules } from '../../agent/build-rules.ts';
import { runJob } from '../../agent/job.ts';
import { Deferred } from '../../shared/context/deferred.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { silentLogger } from '../../shared/log.ts';
import type { Question } from '../../shared/messages.ts';
import type { TaskEvent } from '../../shared/progress.ts';
import type { Outcome, Task } from '../../shared/task.ts';
import { busyboxBase } from '../../scripts/rig/base-image.ts';
import { startEngine } from '../../scripts/rig/engine.ts';
import { startRegistry } from '../../scripts/rig/registry.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { pullDocument } from '../support/sample-image.ts';
import { stepProcesses } from '../support/step-processes.ts';
import { until } from '../support/until.ts';
import { file, memoryContext, type Contents } from './engine/memory-context.ts';

const base = await busyboxBase();
const rig = await startEngine({ name: 'job' });
const registry = await startRegistry();
const data = await temporaryDirectory();
const engine = new Engine({ host: rig.host, environment: {}, dataDirectory: data.path });
const scratch = 'FROM scratch\nCOPY sh /bin/sh\n';

interface JobSetup {
  readonly platform: string;
  readonly contents?: Contents;
  readonly dockerfile: string;
  readonly repository: string;
  readonly rules?: Partial<BuildRules>;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: TaskEvent) => void;
  /** Hears of each question before it is answered. */
  readonly onQuestion?: (question: Question, signal: AbortSignal) => Promise<void> | void;
}

async function run(setup: JobSetup): Promise<{ outcome: Outcome; events: TaskEvent[] }> {
  const memory = memoryContext();
  const task: Task = {
    build: 'b1',
    platform: setup.platform,
    image: `${registry.host}/${setup.repository}:latest`,
    context: { ...memory.add(setup.contents ?? {}), name: 'test' },
    dockerfile: { ...memory.add({ Dockerfile: file(setup.dockerfile) }), name: 'Dockerfile' },
    contexts: [],
    args: {},
    labels: {},
    noCache: false,
    pull: false,
    network: 'none',
    extraHosts: [],
    cacheFrom: [],
    secrets: [],
    ssh: [],
    contextKey: setup.repository,
  };
  const events: TaskEvent[] = [];
  const context = { ...memory, sentBytes: 0, prepare: async () => {}, [Symbol.dispose]: () => {} };
  const outcome = await runJob(
    task,
    {
      engine,
      context,
      rules: { agent: 'a', policy: ['all'], buildTimeout: undefined, ...setup.rules },
      async ask(question, signal) {
        await setup.onQuestion?.(question, signal);
        return { kind: 'auth', auth: { type: 'anonymous' } };
      },
      ssh: () => Promise.reject(new Error('no ssh here')),
    },
    {
      signal: setup.signal ?? AbortSignal.timeout(300_000),
      onEvent(event) {
        events.push(event);
        setup.onEvent?.(event);
      },
    },
  );
  return { outcome, events };
}

function pushed(repository: string): ReturnType<typeof pullDocument> {
  return pullDocument({ host: registry.host, repository }, 'latest');
}

test('pushes an image of programs for the platform, and one without programs', async () => {
  const images = [
    { platform: 'linux/amd64', contents: { sh: program('amd64') }, repository: 'right-amd64' },
    { platform: 'linux/arm64/v8', contents: { sh: program('arm64') }, repository: 'right-arm64v8' },
    { platform: 'linux/arm64/v8', contents: { sh: file('only data') }, repository: 'data-arm64v8' },
  ];
  for (const image of images) {
    const { outcome, events } = await run({ ...image, dockerfile: scratch });
    assert.is(outcome.status, 'pushed', JSON.stringify(outcome));
    assert.is(outcome.status === 'pushed' && outcome.image.digest, (await pushed(image.repository))?.digest);
    assert.equal(
      events.filter((event) => event.type === 'warning'),
      [],
    );
  }
});

test('fails for good when a base of one platform brings programs of another', async () => {
  const arm64 = { platform: 'linux/arm64', contents: { sh: program('arm64') }, repository: 'base' };
  await run({ ...arm64, dockerfile: scratch });
  const from = `${registry.host}/base`;
  for (const dockerfile of [`FROM ${from}\nLABEL a=b`, `FROM --platform=linux/arm64 ${from}\nLABEL a=c`]) {
    const { outcome } = await run({ platform: 'linux/amd64', dockerfile, repository: 'wrong-base' });
    assert.is(outcome.status, 'failed', JSON.stringify(outcome));
    if (outcome.status !== 'failed') return;
    assert.is(outcome.kind, 'build');
    assert.is(outcome.error.code, 'wrong-architecture', outcome.error.message);
    assert.is(
      outcome.error.message,
      `${registry.host}/wrong-base:latest was built for linux/amd64, but its /bin/sh is a program for linux/arm64`,
    );
  }
});

test('ends a push that is still waiting when the programs are wrong', async () => {
  let ended: unknown;
  const { outcome } = await run({
    platform: 'linux/amd64',
    contents: { sh: program('arm64') },
    dockerfile: scratch,
    repository: 'waiting',
    async onQuestion(_question, signal) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      ended = signal.reason;
      throw ended;
    },
  });
  assert.is(outcome.status === 'failed' && outcome.error.code, 'wrong-architecture');
  assert.ok(ended instanceof ArchfarmError && ended.code === 'wrong-architecture');
  assert.is(await pushed('waiting'), undefined);
});

test('says what is wrong with the image rather than with its push', async () => {
  const { outcome } = await run({
    platform: 'linux/amd64',
    contents: { sh: program('arm64') },
    dockerfile: scratch,
    repository: 'denied',
    onQuestion: () => Promise.reject(new ArchfarmError('registry-denied', 'no push for you')),
  });
  assert.is(outcome.status === 'failed' && outcome.error.code, 'wrong-architecture');
});

test('fails with what became of the push of a right image', async () => {
  const { outcome } = await run({
    platform: 'linux/amd64',
    contents: { sh: program('amd64') },
    dockerfile: scratch,
    repository: 'denied',
    onQuestion: () => Promise.reject(new ArchfarmError('registry-denied', 'no push for you')),
  });
  assert.is(outcome.status === 'failed' && outcome.error.code, 'registry-denied');
});

test('is cancelled while it checks and pushes', async () => {
  const controller = new AbortController();
  const { outcome } = await run({
    platform: 'linux/amd64',
    contents: { sh: program('arm64') },
    dockerfile: scratch,
    repository: 'cancelled',
    signal: controller.signal,
    onQuestion: () => controller.abort(new ArchfarmError('cancelled', 'the user said so')),
  });
  assert.equal(outcome, { status: 'cancelled', reason: 'the user said so' });
  assert.is(await pushed('cancelled'), undefined);
});

test('an engine that hangs is noticed, and fails what it has in hand', async () => {
  const watch = new EngineWatch({
    engine,
    restrictTo: undefined,
    log: silentLogger,
    interval: 20,
    answerWithin: 500,
    lostAfter: 1000,
  });
  const stop = new AbortController();
  await watch.start(stop.signal);
  const sleep = 'busybox sleep 611';
  const started = new Deferred<void>();
  const job = run({
    platform: 'linux/amd64',
    contents: { sh: program('amd64') },
    dockerfile: `${scratch}COPY sh /bin/busybox\nRUN echo started; ${sleep}\n`,
    repository: 'hung',
    onEvent: (event) => event.type === 'log' && event.text.includes('started') && started.resolve(),
  });
  await started.promise;
  const watching = watch.run(stop.signal);
  await rig.kill('SIGSTOP');
  try {
    const { outcome } = await job;
    assert.ok(outcome.status === 'failed' && outcome.kind === 'infrastructure', JSON.stringify(outcome));
    assert.is(outcome.error.code, 'engine-down');
    assert.is(watch.trouble, `the Docker engine at ${rig.host} does not answer`);
  } finally {
    await rig.kill('SIGCONT');
  }
  await until(() => watch.trouble === undefined, { timeout: 30_000, what: 'the engine answers again' });
  const isOver = async (): Promise<boolean> => (await stepProcesses(rig, sleep)).length === 0;
  await until(isOver, { timeout: 30_000, what: 'the step has ended' });
  const { outcome } = await run({
    platform: 'linux/amd64',
    contents: { sh: program('amd64') },
    dockerfile: scratch,
    repository: 'after',
  });
  assert.is(outcome.status, 'pushed', 'it is trusted again');
  stop.abort();
  await watching;
});

test('reads for itself what a Dockerfile names as its frontend, and gives a build no longer than the owner does', async () => {
  const setup = { platform: 'linux/amd64', contents: { sh: program('amd64') }, repository: 'ruled' };
  // The engine here would take the last.
  const evil = '# syntax=docker/dockerfile:1\n# syntax=evil/front:1\nFROM scratch';
  const { outcome } = await run({ ...setup, dockerfile: evil, rules: { policy: ['ssh'] } });
  assert.is(outcome.status, 'failed');
  if (outcome.status !== 'failed') return;
  assert.is(outcome.error.code, 'policy-refused');
  assert.is(outcome.kind, 'infrastructure');
  assert.match(outcome.error.message, /agent a does not allow a build the frontend evil\/front:1/);
  const slow = await run({ ...setup, dockerfile: `${scratch}RUN sleep 60`, rules: { buildTimeout: 1500 } });
  assert.is(slow.outcome.status === 'failed' && slow.outcome.error.code, 'timeout');
  assert.is(slow.outcome.status === 'failed' && slow.outcome.kind, 'build');
});

test('goes on giving signs in a step that prints no whole line', async () => {
  const dots = 'i=0; while [ $i -lt 14 ]; do printf .; sleep 0.5; i=$((i+1)); done';
  const { outcome, events } = await run({
    platform: 'linux/amd64',
    contents: { sh: program('amd64') },
    dockerfile: `${scratch}RUN ${dots}`,
    repository: 'dots',
  });
  assert.is(outcome.status, 'pushed', JSON.stringify(outcome));
  const ofStep = (event: TaskEvent): boolean => event.type === 'step' && event.name.includes('printf');
  const during = events.slice(events.findIndex(ofStep) + 1, events.findLastIndex(ofStep));
  assert.ok(during.some(({ type }) => type === 'context'));
});

test('leaves no container behind', () => {
  assert.is(execFileSync('docker', ['-H', rig.host, 'ps', '-aq'], { encoding: 'utf8' }), '');
});

test('gives its engine and registry back', async () => {
  await rig[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  await data[Symbol.asyncDispose]();
});

test.run();

function program(architecture: string): Contents[string] {
  return file(readFileSync(`${base}/${architecture}/usr/bin/busybox`), { mode: 0o755 });
}

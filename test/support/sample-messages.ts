/** One message of every kind that agent and coordinator say to each other, with every field that it can have. */
import type { Hello, ToAgent, ToCoordinator } from '../../shared/messages.ts';
import { PROTOCOL_VERSION } from '../../shared/messages.ts';
import type { Task } from '../../shared/task.ts';

export const sampleDigest = `sha256:${'0123456789abcdef'.repeat(4)}`;
export const sampleAttempt = 'k2v7q9x3/linux/arm64/v8/1';

export function sampleTask(change: Partial<Task> = {}): Task {
  return {
    build: 'k2v7q9x3',
    platform: 'linux/arm64/v8',
    image: 'localhost:5000/onap/py-app-arm64v8:latest',
    context: { root: sampleDigest, name: 'py-app' },
    dockerfile: { root: sampleDigest, name: 'Dockerfile' },
    contexts: [{ name: 'lib', root: sampleDigest }],
    contextLimits: { entries: 200_000, bytes: 20 * 1024 ** 3, pathBytes: 4096, nameBytes: 255 },
    args: { HTTP_PROXY: 'http://proxy' },
    labels: { maintainer: 'onap' },
    target: 'final',
    noCache: false,
    pull: true,
    network: 'none',
    extraHosts: ['db:10.0.0.1'],
    cacheFrom: ['localhost:5000/onap/py-app-arm64v8:latest'],
    secrets: ['token'],
    ssh: ['default'],
    test: { command: ['/bin/sh', '-c', 'py-app --version'], timeout: 600_000, network: false },
    contextKey: 'localhost:5000/onap/py-app py-app',
    ...change,
  };
}

export function sampleHello(change: Partial<Hello> = {}): Hello {
  return {
    type: 'hello',
    protocol: PROTOCOL_VERSION,
    version: '0.1.0',
    name: 'pi-01',
    session: 'c2Vzc2lvbi0x',
    platforms: [
      { platform: 'linux/arm64/v8', native: true },
      { platform: 'linux/arm/v7', native: false },
    ],
    slots: 2,
    weight: 1.5,
    labels: { room: 'lab' },
    policy: ['ssh', 'frontend=ghcr.io/acme/'],
    engine: { version: '20.10.24', apiVersion: '1.41' },
    state: 'ready',
    attempts: [],
    ...change,
  };
}

const timings = { queued: 1, context: 2, build: 3.5, test: 4, push: 5 };
const error = { code: 'build-failed', message: 'RUN false', hint: 'do not' } as const;
const attempt = sampleAttempt;

export const messagesToCoordinator: readonly ToCoordinator[] = [
  sampleHello({ state: 'cordoned', reason: 'the engine is down', attempts: [attempt] }),
  { type: 'beat', state: 'ready' },
  { type: 'beat', state: 'draining', reason: 'the agent is stopping' },
  {
    type: 'beat',
    state: 'ready',
    contexts: { bytes: 5, maxBytes: 9, hits: 3, hitBytes: 4, misses: 1, missBytes: 5 },
    usage: { memory: 80_000_000, cpu: 1500.5, lag: 0.25 },
  },
  { type: 'accept', attempt },
  { type: 'decline', attempt, reason: 'all slots are busy' },
  {
    type: 'selected',
    attempt,
    tree: sampleDigest,
    selection: { followPaths: ['app'], includePatterns: ['lib/**'], excludePatterns: ['*.pyc'] },
  },
  {
    type: 'progress',
    attempt,
    frame: 1,
    events: [
      { type: 'step', time: 1, step: 's', name: '[1/2] FROM x', status: 'failed', duration: 3, error: 'no' },
      { type: 'log', time: 2, step: 's', stream: 'stderr', text: 'añ日本\u0000\u001B[31m' },
      { type: 'context', time: 3, engineBytes: 10, sentBytes: 5 },
      { type: 'push', time: 4, layer: 'abc', status: 'Pushing', current: 1, total: 2 },
      { type: 'warning', time: 5, message: 'careful' },
    ],
  },
  {
    type: 'report',
    attempt,
    lastFrame: 1,
    outcome: {
      status: 'pushed',
      image: { imageId: sampleDigest, digest: sampleDigest, size: 500, timings, sentBytes: 7 },
    },
  },
  {
    type: 'report',
    attempt,
    lastFrame: 0,
    outcome: { status: 'failed', kind: 'build', error, timings: {}, sentBytes: 0 },
  },
  { type: 'report', attempt, lastFrame: 0, outcome: { status: 'cancelled', reason: 'by a user' } },
  { type: 'ask', attempt, ask: 1, question: { kind: 'push-auth' } },
  { type: 'ask', attempt, ask: 2, question: { kind: 'pull-auth', host: 'h', repositories: ['r/s'] } },
  { type: 'ask', attempt, ask: 3, question: { kind: 'secret', id: 'token' } },
  { type: 'ask', attempt, ask: 4, question: { kind: 'pull-scheme', host: 'h:5000' } },
  {
    type: 'proved',
    proof: 'cHJvb2YtMQ',
    outcome: { status: 'passed', manner: 'healthy', output: 'ok', duration: 7 },
  },
  {
    type: 'proved',
    proof: 'cHJvb2YtMQ',
    outcome: { status: 'failed', kind: 'image', error, output: '', duration: 7 },
  },
];

export const messagesToAgent: readonly ToAgent[] = [
  { type: 'welcome', protocol: PROTOCOL_VERSION, version: '0.1.0', heartbeat: 10_000, lost: 45_000 },
  { type: 'beat' },
  { type: 'offer', attempt, task: sampleTask() },
  { type: 'cancel', attempt, reason: 'a user asked' },
  { type: 'acknowledge', attempt, frame: 3 },
  { type: 'settle', attempt },
  { type: 'answer', attempt, ask: 1, answer: { kind: 'auth', auth: { type: 'anonymous' } } },
  {
    type: 'answer',
    attempt,
    ask: 2,
    answer: { kind: 'auth', auth: { type: 'bearer', token: 't', lifetime: 5 } },
  },
  { type: 'answer', attempt, ask: 4, answer: { kind: 'pull-scheme', scheme: 'bearer' } },
  {
    type: 'answer',
    attempt,
    ask: 3,
    answer: { kind: 'auth', auth: { type: 'basic', username: 'u', password: 'p' } },
  },
  { type: 'answer', attempt, ask: 4, answer: { kind: 'secret', value: 'czNjcmV0' } },
  { type: 'answer', attempt, ask: 5, answer: { kind: 'error', error } },
  {
    type: 'prove',
    proof: 'cHJvb2YtMQ',
    order: {
      reference: `localhost:5000/onap/py-app@${sampleDigest}`,
      platform: 'linux/arm64/v8',
      command: ['uname', '-m'],
      timeout: 600_000,
      network: false,
      auth: { type: 'anonymous' },
    },
  },
  { type: 'stop-proof', proof: 'cHJvb2YtMQ' },
];

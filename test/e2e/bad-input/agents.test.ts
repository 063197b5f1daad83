/** What no coordinator, client or engine of ours says, again and again to an agent that has another build to do. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startDaemon } from '../../../scripts/rig/daemon.ts';
import { formatAttempt } from '../../../shared/attempt.ts';
import { decodeToCoordinator } from '../../../shared/codec.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { defaultLimits } from '../../../shared/context/limits.ts';
import type { ContentSource } from '../../../shared/context/sender.ts';
import type { Outcome } from '../../../shared/task.ts';
import type { WebSocket } from 'ws';
import { currentVersion, startFakeEngine } from '../../agent/engine/fake-engine.ts';
import { amd64 } from '../../support/farm-fixtures.ts';
import { agentCommand, isolatedEnv } from '../../support/farm-processes.ts';
import { endlessTree, hostileTrees, type HostileTree } from '../../support/hostile-records.ts';
import { dir, memoryTree, partOf } from '../../support/memory-tree.ts';
import { plainTree } from '../../support/neighbour.ts';
import { toBeAsked } from '../../support/process-memory.ts';
import { failingBuild, traceOf } from '../../support/running-worker.ts';
import { sampleTask } from '../../support/sample-messages.ts';
import { scriptedCoordinator, welcome } from '../../support/scripted-coordinator.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { unharmed } from '../../support/unharmed.ts';
import { until } from '../../support/until.ts';

/** Everything that a task may name. */
const frontends = memoryTree(dir(['Dockerfile', '# syntax=evil.example/front:1\nFROM scratch\n']));
const contents = new Map<string, Buffer>([
  ...[...Object.values(hostileTrees).flat(), endlessTree].flatMap(({ records }) =>
    records.map((record): [string, Buffer] => [digestOf(record), record]),
  ),
  ...[plainTree, frontends].flatMap(({ records, blobs }) => [...records, ...blobs]),
]);
const source: ContentSource = { open: async (item) => partOf(item, contents) };

let heard = 0;
const reports = new Map<string, Outcome>();
let listed: readonly string[] = [];
const coordinator = await scriptedCoordinator({
  contents: source,
  onHello(socket, hello) {
    listed = hello.attempts;
    socket.send(JSON.stringify(welcome({ heartbeat: 100 })));
    socket.on('message', (data: Buffer) => answer(socket, data.toString()));
  },
});

/** Every message counts as a sign of life, and every frame as stored. */
function answer(socket: WebSocket, text: string): void {
  heard += 1;
  const [, attempt, frame] = /^\{"type":"progress","attempt":"([^"]+)","frame":(\d+)/.exec(text) ?? [];
  if (text.startsWith('{"type":"report"')) {
    const report = decodeToCoordinator(Buffer.from(text));
    if (report.type === 'report') reports.set(report.attempt, report.outcome);
  }
  if (attempt !== undefined) socket.send(`{"type":"acknowledge","attempt":"${attempt}","frame":${frame}}`);
}

/** Says what its engine says to each build but the first, which is the neighbour's and goes on. */
let engineSays = '';
let builds = 0;
let endNeighbour: (said: string) => void = () => {};
const engine = await startFakeEngine({
  ...currentVersion,
  'GET /_ping': 'OK',
  'GET /info': JSON.stringify({ OSType: 'linux', Architecture: 'x86_64' }),
  'POST /build': () =>
    (builds += 1) === 1 ? new Promise<string>((resolve) => (endNeighbour = resolve)) : engineSays,
});

const directory = await temporaryDirectory();
const memory = `${directory.path}/memory.sock`;
const flags = ['--coordinator', coordinator.url.host, '--name', 'a', '--slots', '8', '--platform', amd64];
const agent = await startDaemon(
  [process.execPath, agentCommand, 'run', ...flags, '--data', directory.path, '--allow', 'network-host'],
  {
    log: `${directory.path}/log`,
    // It dials again soon: each bad message is the end of a connection.
    env: {
      ...(await isolatedEnv(directory.path)),
      ...toBeAsked(memory, { hasty: true }),
      DOCKER_HOST: engine.host,
    },
    ready: async () => coordinator.heard('hello').length > 0,
  },
);

/** As they come from a coordinator, but for the number of entries: to count 200,000 takes seconds. */
const contextLimits = { ...defaultLimits, entries: 20_000 };

let offers = 0;

/** How an attempt of this task ends. */
async function outcomeOf(change: Parameters<typeof sampleTask>[0]): Promise<Outcome> {
  const attempt = formatAttempt({ build: `b${(offers += 1)}`, platform: amd64, number: 1 });
  coordinator.send({ type: 'offer', attempt, task: taskOf(change) });
  const outcome = await until(() => reports.get(attempt), { what: `${attempt} is reported` });
  coordinator.send({ type: 'settle', attempt });
  return outcome;
}

function taskOf(change: Parameters<typeof sampleTask>[0]): ReturnType<typeof sampleTask> {
  return sampleTask({
    platform: amd64,
    context: { root: plainTree.root, name: 'c' },
    dockerfile: { root: plainTree.root, name: 'Dockerfile' },
    contexts: [],
    network: 'none',
    extraHosts: [],
    secrets: [],
    ssh: [],
    ...change,
  });
}

const neighbour = formatAttempt({ build: 'neighbour', platform: amd64, number: 1 });
coordinator.send({ type: 'offer', attempt: neighbour, task: taskOf({}) });
await until(() => builds === 1, { what: 'the build of the neighbour has begun' });

const subject = {
  pid: agent.pid,
  memory,
  async exchange() {
    const before = heard;
    await until(() => heard > before, { timeout: 10_000, what: 'a sign of the agent' });
    assert.not(reports.has(neighbour), 'it has ended');
  },
};

const attempt = `"attempt":"${neighbour}"`;
/** Each with the close that it is answered with. */
const messages: readonly (readonly [said: string | Buffer, close: RegExp])[] = [
  // B4
  [`{"type":"beat"${' '.repeat(1024 * 1024)}}`, /^1009 /],
  [Buffer.from('{"type":"beat"}'), /^4400 binary frame on the control connection/],
  // B5
  ['{', /^4400 message is not JSON/],
  ['{"type":"beat"}\0', /^4400 message is not JSON/],
  [`{"type":"acknowledge",${attempt},"frame":1e999}`, /^4400 bad message "acknowledge": frame: /],
  // B6
  ['['.repeat(60_000), /^4400 message nested deeper than 32 levels/],
  // B7
  [`{"type":"beat","__proto__":{}}`, /^4400 bad message "beat": __proto__: /],
  [`{"type":"beat","constructor":{}}`, /^4400 bad message "beat": constructor: /],
  // B8
  ['{"type":"explode"}', /^4405 unknown message "explode": agent /],
  [`{"type":"accept",${attempt}}`, /^4400 bad message "accept": type: /],
  // B9
  [JSON.stringify(welcome()), /^4400 a second welcome/],
  // B12
  [`{"type":"settle","attempt":"../../x/linux/amd64/1"}`, /^4400 bad message "settle": attempt: /],
  [`{"type":"acknowledge",${attempt},"frame":-1}`, /^4400 bad message "acknowledge": frame: /],
  [
    JSON.stringify({ type: 'offer', attempt: neighbour, task: { ...taskOf({}), platform: 'linux/../x' } }),
    /^4400 bad message "offer": task\.platform: /,
  ],
];

test('a coordinator says what is no message, and the agent dials again and goes on with its build [B4, B5, B6, B7, B8, B9, B12]', () =>
  unharmed(subject, { rounds: 56, atOnce: 1 }, async (round) => {
    const [said, close] = messages[round % messages.length] ?? ['', /^$/];
    const before = coordinator.heard('hello').length;
    const socket = await until(() => coordinator.agents.at(-1));
    const closed = new Promise<string>((resolve) => {
      socket.once('close', (code, reason) => resolve(`${code} ${String(reason)}`));
    });
    socket.send(said, { binary: typeof said !== 'string' });
    assert.match(await closed, close);
    await until(() => coordinator.heard('hello').length > before, { what: 'the agent is back' });
    assert.equal(listed, [neighbour]);
  }));

for (const [what, trees] of Object.entries(hostileTrees)) {
  test(`an agent is told of a tree ${what}`, () =>
    unharmed(subject, { rounds: 30, atOnce: 4 }, async (round) => failTree(trees[round % trees.length])));
}

test('an agent is told of a tree without end [X8]', () =>
  unharmed(subject, { rounds: 3, first: 1, atOnce: 1 }, () => failTree(endlessTree)));

async function failTree(tree: HostileTree | undefined): Promise<void> {
  assert.ok(tree);
  const root = digestOf(tree.records.at(-1) ?? Buffer.alloc(0));
  const outcome = await outcomeOf({ context: { root, name: 'c' }, contextLimits });
  assert.ok(outcome.status === 'failed', outcome.status);
  assert.match(outcome.error.message, tree.says, outcome.error.message);
}

test('a Dockerfile names a frontend of strangers, and no engine hears of it [D3]', () =>
  unharmed(subject, { rounds: 30, atOnce: 4 }, async () => {
    const before = builds;
    const outcome = await outcomeOf({ dockerfile: { root: frontends.root, name: 'Dockerfile' } });
    assert.ok(outcome.status === 'failed', outcome.status);
    assert.is(outcome.error.code, 'policy-refused');
    assert.match(outcome.error.message, 'evil.example/front:1');
    assert.is(builds, before);
  }));

test('a task asks for more than the owner of the engine allows [D4]', () =>
  unharmed(subject, { rounds: 30, atOnce: 4 }, async () => {
    const outcome = await outcomeOf({ extraHosts: ['db:10.0.0.1'] });
    assert.ok(outcome.status === 'failed', outcome.status);
    assert.match(`${outcome.error.code} ${outcome.error.message}`, /^policy-refused .*extra_hosts/);
  }));

test('a build says a line without end, and what moves the cursor [L1]', async () => {
  const line = (text: string): string =>
    JSON.stringify({ id: 'moby.buildkit.trace', aux: traceOf('[1/1] RUN cat', text) });
  const pieces = Array.from({ length: 6 }, () =>
    line('\u001b[2J\u001b]52;c;eA==\u0007\u{1F600}'.repeat(16_000)),
  );
  engineSays = [...pieces, failingBuild].join('\n');
  await unharmed(subject, { rounds: 4, first: 1, atOnce: 1 }, async () => {
    const outcome = await outcomeOf({});
    assert.ok(outcome.status === 'failed', outcome.status);
    assert.match(outcome.error.message, /exit code: 1/);
  });
});

test('the build of the neighbour ends as it would have', async () => {
  endNeighbour(failingBuild);
  const outcome = await until(() => reports.get(neighbour), { what: 'it is reported' });
  assert.ok(
    outcome.status === 'failed' && /exit code: 1/.test(outcome.error.message),
    JSON.stringify(outcome),
  );
  await agent[Symbol.asyncDispose]();
  await coordinator[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

test.run();

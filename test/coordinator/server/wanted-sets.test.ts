/** What a client is asked for, and when a build needs it no more: over real sockets, with agents that are scripted. */
import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { ContextUpload } from '../../../coordinator/cli/context-upload.ts';
import { everything } from '../../../shared/context/select.ts';
import type { ContentSource } from '../../../shared/context/sender.ts';
import type { Timers } from '../../../shared/timers.ts';
import { sampleSpec } from '../../support/farm-fixtures.ts';
import { dir, memoryTree } from '../../support/memory-tree.ts';
import {
  runningCoordinator,
  testToken,
  type RunningCoordinator,
  type ScriptedAgent,
} from '../../support/running-coordinator.ts';
import { until } from '../../support/until.ts';

const arm64 = 'linux/arm64/v8';
const amd64 = 'linux/amd64';
const context = memoryTree(
  dir(
    ['.dockerignore', 'none'],
    ['app', dir(['main.py', 'print(1)\n'], ['util.py', 'import os\n'])],
    ['media', dir(['large', 'x'.repeat(50_000)], ['small', 'y'])],
  ),
);
const dockerfile = memoryTree(dir(['Dockerfile', 'FROM scratch\nCOPY app /app\n']));
const app = { ...everything, followPaths: ['app'] };

const shown = v.object({
  status: v.string(),
  client: v.optional(v.string()),
  context: v.object({
    sentBytes: v.number(),
    complete: v.optional(v.boolean()),
    missing: v.optional(v.object({ files: v.number(), bytes: v.number(), paths: v.array(v.string()) })),
  }),
});
const refusal = v.object({ error: v.object({ code: v.string(), message: v.string() }) });

/** A build of both trees, by a client of whom it is known what it was asked for. */
class Client implements AsyncDisposable {
  readonly build: string;
  /** Contents of these files, sorted. */
  readonly #asked = new Set<string>();
  readonly #running: RunningCoordinator;
  readonly #link: string;
  #upload: ContextUpload | undefined;

  private constructor(running: RunningCoordinator, link: string, build: string) {
    this.#running = running;
    this.#link = link;
    this.build = build;
  }

  static async submit(running: RunningCoordinator, platforms: readonly string[]): Promise<Client> {
    const link = randomBytes(12).toString('base64url');
    const spec = sampleSpec({
      platforms,
      context: { root: context.root, name: 'c', files: 5, bytes: 50_000 },
      dockerfile: { root: dockerfile.root, name: 'Dockerfile' },
    });
    const records = [...context.records.values(), ...dockerfile.records.values()];
    const directories = records.map((record) => record.toString('base64'));
    const body = { spec, link, client: 'alice@laptop', directories };
    const answer = await running.ask('/v1/builds', { method: 'POST', body });
    return new Client(running, link, v.parse(v.object({ build: v.string() }), answer.body).build);
  }

  /** Serves the contents from now on. */
  connect(): void {
    const source: ContentSource = {
      open: async (item, signal) => {
        this.#asked.add(nameOf(item.digest));
        const tree = [context, dockerfile].find(({ blobs }) => blobs.has(item.digest));
        if (tree === undefined) throw new Error(`asked for ${item.digest}`);
        return tree.open(item, signal);
      },
    };
    this.#upload = new ContextUpload({
      coordinator: this.#running.url,
      token: testToken,
      link: this.#link,
      source,
    });
    this.#upload.submitted(this.build);
  }

  /** Names of the files that it was asked for. */
  get asked(): string[] {
    return [...this.#asked].toSorted();
  }

  async show(): Promise<v.InferOutput<typeof shown>> {
    return v.parse(shown, (await this.#running.ask(`/v1/builds/${this.build}`)).body);
  }

  complete(): ReturnType<RunningCoordinator['ask']> {
    return this.#running.ask(`/v1/builds/${this.build}/complete`, { method: 'POST' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#upload?.close();
  }
}

function nameOf(digest: string): string {
  const names: [text: string, name: string][] = [
    ['none', '.dockerignore'],
    ['print(1)\n', 'main.py'],
    ['import os\n', 'util.py'],
    ['y', 'small'],
    ['FROM scratch\nCOPY app /app\n', 'Dockerfile'],
  ];
  const blob = (context.blobs.get(digest) ?? dockerfile.blobs.get(digest) ?? Buffer.alloc(0)).toString();
  return names.find(([text]) => text === blob)?.[1] ?? 'large';
}

interface Working extends ScriptedAgent {
  readonly attempt: string;
  select(tree: { readonly root: string }, followPaths: readonly string[]): void;
}

/** An agent that has accepted the only task of its platform. */
async function working(running: RunningCoordinator, platform: string, name = 'worker'): Promise<Working> {
  const agent = await running.agent({
    name,
    session: `session-${name}`,
    platforms: [{ platform, native: true }],
  });
  const { attempt } = await agent.wait('offer');
  agent.send({ type: 'accept', attempt });
  return {
    ...agent,
    attempt,
    select: ({ root }, followPaths) =>
      agent.send({ type: 'selected', attempt, tree: root, selection: { ...everything, followPaths } }),
  };
}

function start(timers: Partial<Timers> = {}): Promise<RunningCoordinator> {
  return runningCoordinator({ selection: 60_000, ...timers });
}

test('what an engine selected comes without being asked for by anybody, and nothing else comes', async () => {
  await using running = await start();
  await using client = await Client.submit(running, [arm64]);
  client.connect();
  const agent = await working(running, arm64);
  agent.select(dockerfile, ['Dockerfile']);
  agent.select(context, ['.dockerignore']);
  await until(() => client.asked.length === 2, { what: 'Dockerfile and ignore file come' });
  assert.equal((await client.show()).context.complete, false);
  agent.select(context, app.followPaths);
  assert.is((await client.complete()).status, 204);
  assert.equal(client.asked, ['.dockerignore', 'Dockerfile', 'main.py', 'util.py']);
  const { context: told } = await client.show();
  assert.is(told.complete, true);
  assert.equal(told.missing, { files: 0, bytes: 0, paths: [] });
});

test('a build that no agent has begun needs all of its trees; show says what is missing, and whose it is', async () => {
  await using running = await start({ selection: 100 });
  await using client = await Client.submit(running, [arm64, amd64]);
  const before = await client.show();
  assert.is(before.client, 'alice@laptop');
  assert.is(before.context.complete, false);
  assert.equal(before.context.missing?.paths, [
    '.dockerignore',
    'app/main.py',
    'app/util.py',
    'media/large',
    'media/small',
    'Dockerfile',
  ]);
  assert.is(before.context.missing?.files, 6);
  const done = client.complete();
  client.connect();
  assert.is((await done).status, 204);
  assert.equal(client.asked, ['.dockerignore', 'Dockerfile', 'large', 'main.py', 'small', 'util.py']);
  assert.is((await client.show()).context.complete, true);
});

test('a wait for whole trees ends with what engines come to select, for the tasks that go on', async () => {
  await using running = await start();
  await using client = await Client.submit(running, [arm64, amd64]);
  client.connect();
  const done = client.complete();
  const agents = [await working(running, arm64, 'a'), await working(running, amd64, 'b')];
  for (const agent of agents) agent.select(dockerfile, ['Dockerfile']);
  agents[0]?.select(context, app.followPaths);
  agents[1]?.send({
    type: 'report',
    attempt: agents[1].attempt,
    lastFrame: 0,
    outcome: {
      status: 'failed',
      kind: 'build',
      error: { code: 'build-failed', message: 'it failed' },
      timings: {},
      sentBytes: 0,
    },
  });
  assert.is((await done).status, 204);
  assert.equal(client.asked, ['Dockerfile', 'main.py', 'util.py']);
});

test('a build that is over needs nothing', async () => {
  await using running = await start();
  await using client = await Client.submit(running, [arm64]);
  const done = client.complete();
  await running.ask(`/v1/builds/${client.build}/cancel`, { method: 'POST' });
  assert.is((await done).status, 204);
  const { status, context: told } = await client.show();
  assert.is(status, 'cancelled');
  assert.is(told.complete, undefined);
});

test('a client that is gone with what is wanted is named, and one that comes back is taken', async () => {
  await using running = await start({ lost: 100, selection: 10 });
  await using client = await Client.submit(running, [arm64]);
  const refused = await client.complete();
  assert.is(refused.status, 500);
  const { error } = v.parse(refusal, refused.body);
  assert.is(error.code, 'client-gone');
  assert.match(error.message, /^client alice@laptop is gone/);
  client.connect();
  await until(async () => (await client.complete()).status === 204, { what: 'the build is complete' });
});

test('what an agent selects of a tree that is not of its build does nothing', async () => {
  await using running = await start();
  await using client = await Client.submit(running, [arm64]);
  client.connect();
  const agent = await working(running, arm64);
  agent.select({ root: `sha256:${'0'.repeat(64)}` }, ['app']);
  agent.select(dockerfile, ['Dockerfile']);
  await until(() => client.asked.length > 0, { what: 'the Dockerfile comes' });
  assert.equal(client.asked, ['Dockerfile']);
  assert.is((await client.show()).context.missing?.files, 5);
});

test.run();

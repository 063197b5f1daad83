import { randomBytes } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine } from '../../../agent/engine/engine.ts';
import type { PushEvent } from '../../../shared/progress.ts';
import type { RegistryAuth } from '../../../shared/task.ts';
import { startEngine } from '../../../scripts/rig/engine.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { httpServer } from '../../support/http-server.ts';
import { slowLink } from '../../support/slow-link.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { startTokenServer } from '../../support/token-server.ts';
import { failureOf, runBuild } from './build-rig.ts';
import { file } from './memory-context.ts';

const rig = await startEngine({ name: 'push' });
const data = await temporaryDirectory();
const engine = new Engine({ host: rig.host, environment: {}, dataDirectory: data.path });
const options = { signal: AbortSignal.timeout(300_000), onEvent: (): void => {} };
const anonymous = always({ type: 'anonymous' });

function always(auth: RegistryAuth): () => Promise<RegistryAuth> {
  return async () => auth;
}

async function imageOf(content: string): Promise<string> {
  const built = await runBuild(engine, {
    contents: { f: file(content) },
    dockerfile: 'FROM scratch\nCOPY f /f',
    task: { contextKey: content },
  });
  return built.image.imageId;
}

test('gives each of two images that are pushed to one tag at once its own digest', async () => {
  await using registry = await startRegistry();
  // Engines of their own share no lock, as two agents on one engine would not.
  const engines = [engine, new Engine({ host: rig.host, environment: {}, dataDirectory: data.path })];
  const images = await Promise.all(['one', 'two', 'three', 'four'].map(imageOf));
  const reference = `${registry.host}/onap/app-amd64:latest`;
  const pushes = images.map(async (imageId, index) => {
    const { digest, size } = await engines[index % 2]!.push({ imageId, reference, auth: anonymous }, options);
    const answer = await fetch(`http://${registry.host}/v2/onap/app-amd64/manifests/${digest}`, {
      headers: { accept: 'application/vnd.docker.distribution.manifest.v2+json' },
    });
    const text = await answer.text();
    assert.is(text.length, size);
    return JSON.parse(text).config.digest;
  });
  assert.equal(await Promise.all(pushes), images);
});

test('pushes with a bearer token, and reports each layer', async () => {
  await using tokens = await startTokenServer({ username: 'u', password: 'p' });
  await using registry = await startRegistry({ auth: tokens.registryAuth });
  const imageId = await imageOf('with a token');
  const reference = `${registry.host}/app:1`;
  const refused = await failureOf(engine.push({ imageId, reference, auth: anonymous }, options));
  assert.is(refused.code, 'registry-denied');
  assert.ok(refused.message.includes(reference));
  const wrong = always({ type: 'basic', username: 'u', password: 'wrong' });
  assert.is(
    (await failureOf(engine.push({ imageId, reference, auth: wrong }, options))).code,
    'registry-denied',
  );

  const events: PushEvent[] = [];
  const onEvent = (event: PushEvent): void => void events.push(event);
  const token = tokens.issue(['repository:app:pull,push']);
  const pushed = await engine.push(
    { imageId, reference, auth: always({ type: 'bearer', token }) },
    { ...options, onEvent },
  );
  assert.match(pushed.digest, /^sha256:[0-9a-f]{64}$/);
  assert.is(events.at(-1)?.status, 'Pushed');
  const basic = always({ type: 'basic', username: 'u', password: 'p' });
  assert.equal(await engine.push({ imageId, reference, auth: basic }, options), pushed);
});

/** Random bytes, which no compression shortens, a layer each. */
async function imageOfLayers(sizes: readonly number[]): Promise<string> {
  const names = sizes.map((_, index) => `f${index}`);
  const built = await runBuild(engine, {
    contents: Object.fromEntries(sizes.map((size, index) => [`f${index}`, file(randomBytes(size))])),
    dockerfile: ['FROM scratch', ...names.map((name) => `COPY ${name} /`)].join('\n'),
    task: { contextKey: randomBytes(8).toString('hex') },
  });
  return built.image.imageId;
}

interface TokenRun extends AsyncDisposable {
  readonly reference: string;
  /** A new token each time, of five seconds. */
  readonly auth: () => Promise<RegistryAuth>;
  /** Tokens so far. */
  readonly given: () => number;
}

/** A registry behind a line that takes so many bytes a second of each layer. */
async function shortTokens(rate: number): Promise<TokenRun> {
  // docker-registry believes a token for another 60 seconds.
  const tokens = await startTokenServer({ username: 'u', password: 'p', lifetime: 5, leeway: 60 });
  const registry = await startRegistry({ auth: tokens.registryAuth });
  const link = await slowLink(registry.host);
  link.rate = rate;
  let given = 0;
  return {
    reference: `${link.address}/app:1`,
    given: () => given,
    async auth() {
      given += 1;
      return { type: 'bearer', token: tokens.issue(['repository:app:pull,push']), lifetime: 5_000 };
    },
    async [Symbol.asyncDispose]() {
      await link[Symbol.asyncDispose]();
      await registry[Symbol.asyncDispose]();
      await tokens[Symbol.asyncDispose]();
    },
  };
}

test('a push that outlives its tokens goes on with new ones, as long as layers arrive', async () => {
  await using run = await shortTokens(100_000);
  // An engine sends five at a time.
  const imageId = await imageOfLayers(Array.from({ length: 11 }, () => 300_000));
  const events: PushEvent[] = [];
  const { reference, auth } = run;
  const pushed = await engine.push(
    { imageId, reference, auth },
    { ...options, onEvent: (event) => events.push(event) },
  );
  assert.match(pushed.digest, /^sha256:/);
  assert.ok(run.given() > 1, `${run.given()} tokens`);
  // Nothing that was there was sent again.
  const arrivals = events.filter(({ status }) => status === 'Pushed').map(({ layer }) => layer);
  assert.is(new Set(arrivals).size, 11);
  assert.is(arrivals.length, 11);
});

test('a layer that takes longer than a token lives is an error that names it', async () => {
  await using run = await shortTokens(100_000);
  const imageId = await imageOfLayers([800_000, 1_000]);
  const { reference, auth } = run;
  const failure = await failureOf(engine.push({ imageId, reference, auth }, options));
  assert.is(failure.code, 'registry-denied');
  assert.ok(failure.message.includes(reference));
  assert.match(failure.message, /layer [0-9a-f]{12} \(0\.8 MB\) was not there within the 5 s/);
  assert.match(failure.hint ?? '', /tokens that live longer/);
  // The small layer arrived with the first of them.
  assert.is(run.given(), 2);
});

test('a push that is denied does not ask for another token', async () => {
  await using tokens = await startTokenServer({ username: 'u', password: 'p' });
  await using registry = await startRegistry({ auth: tokens.registryAuth });
  let given = 0;
  const auth = async (): Promise<RegistryAuth> => {
    given += 1;
    return { type: 'bearer', token: tokens.issue(['repository:app:pull']), lifetime: 300_000 };
  };
  const imageId = await imageOf('for readers');
  const failure = await failureOf(
    engine.push({ imageId, reference: `${registry.host}/app:1`, auth }, options),
  );
  assert.is(failure.code, 'registry-denied');
  assert.is(given, 1);
});

test('says which line an engine lacks that will not speak http', async () => {
  const address = Object.values(networkInterfaces())
    .flat()
    .find((candidate) => candidate?.family === 'IPv4' && !candidate.internal)?.address;
  await using server = await httpServer((_request, response) => void response.end(), address);
  const failure = await failureOf(
    engine.push(
      { imageId: await imageOf('plain'), reference: `${server.url.host}/app:1`, auth: anonymous },
      options,
    ),
  );
  assert.is(failure.code, 'registry-error');
  assert.ok(failure.message.includes(rig.host) && failure.message.includes(server.url.host));
  assert.is(failure.hint?.includes(`"insecure-registries": ["${server.url.host}"]`), true);
});

test('tells a registry that is away from one that refuses', async () => {
  const reference = '127.0.0.1:1/app:1';
  const failure = await failureOf(
    engine.push({ imageId: await imageOf('away'), reference, auth: anonymous }, options),
  );
  assert.is(failure.code, 'registry-unreachable');
});

test('rejects with the reason when a push is aborted while it waits', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  controller.abort(reason);
  const push = engine.push(
    { imageId: await imageOf('late'), reference: '127.0.0.1:1/app:1', auth: anonymous },
    { ...options, signal: controller.signal },
  );
  assert.is(await push.catch((error: unknown) => error), reason);
});

test('gives its engine back', async () => {
  await rig[Symbol.asyncDispose]();
  await data[Symbol.asyncDispose]();
});

test.run();

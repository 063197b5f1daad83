import { networkInterfaces } from 'node:os';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine } from '../../../agent/engine/engine.ts';
import type { PushEvent } from '../../../shared/progress.ts';
import { startEngine } from '../../../scripts/rig/engine.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { httpServer } from '../../support/http-server.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { startTokenServer } from '../../support/token-server.ts';
import { failureOf, runBuild } from './build-rig.ts';
import { file } from './memory-context.ts';

const rig = await startEngine({ name: 'push' });
const data = await temporaryDirectory();
const engine = new Engine({ host: rig.host, environment: {}, dataDirectory: data.path });
const options = { signal: AbortSignal.timeout(60_000), onEvent: (): void => {} };
const anonymous = { type: 'anonymous' } as const;

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
  const wrong = { type: 'basic', username: 'u', password: 'wrong' } as const;
  assert.is(
    (await failureOf(engine.push({ imageId, reference, auth: wrong }, options))).code,
    'registry-denied',
  );

  const events: PushEvent[] = [];
  const onEvent = (event: PushEvent): void => void events.push(event);
  const token = tokens.issue(['repository:app:pull,push']);
  const pushed = await engine.push(
    { imageId, reference, auth: { type: 'bearer', token } },
    { ...options, onEvent },
  );
  assert.match(pushed.digest, /^sha256:[0-9a-f]{64}$/);
  assert.is(events.at(-1)?.status, 'Pushed');
  const basic = { type: 'basic', username: 'u', password: 'p' } as const;
  assert.equal(await engine.push({ imageId, reference, auth: basic }, options), pushed);
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

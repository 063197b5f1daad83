/** Asking for a push before there is one: of Debian's docker-registry, and of others as they are known to answer. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { canPush } from '../../../coordinator/registry/preflight.ts';
import { Registries } from '../../../coordinator/registry/registries.ts';
import { defaultTiming } from '../../../coordinator/registry/timing.ts';
import { parseReference } from '../../../shared/reference.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { dockerConfig, signedIn } from '../../support/docker-config.ts';
import { failureOf } from '../../support/failure.ts';
import { startServer } from '../../support/logged-server.ts';
import { startTokenServer } from '../../support/token-server.ts';

const { signal } = new AbortController();
const timing = { ...defaultTiming, firstPause: 1, maxPause: 5 };

async function ask(host: string, user?: string): Promise<void> {
  await using config = user === undefined ? await dockerConfig({}) : await signedIn(host, user);
  await using registries = new Registries({ configDirectory: config.path, timing });
  await canPush(registries.repository(parseReference(`${host}/team/app`)), signal);
}

test('a registry that takes the push keeps nothing of the question', async () => {
  await using registry = await startRegistry();
  await ask(registry.host);
  const names = await readdir(join(registry.dir, 'data'), { recursive: true });
  // Empty notes of a cancelled upload are this registry's own.
  assert.equal(
    names.filter((name) => /\/(startedat|data|link)$/.test(name)),
    [],
  );
  const log = (await registry.accessLog()).join('\n');
  assert.match(log, 'POST /v2/team/app/blobs/uploads/');
  assert.match(log, 'DELETE /v2/team/app/blobs/uploads/');
});

test('a user who may only pull is denied, and so is one without credentials', async () => {
  const deny = (scope: string): boolean => scope.includes('push');
  await using tokens = await startTokenServer({ username: 'bob', password: 'secret', deny });
  await using registry = await startRegistry({ auth: tokens.registryAuth });
  for (const user of ['bob:secret', undefined]) {
    const error = await failureOf(ask(registry.host, user));
    assert.is(error.code, 'registry-denied');
    assert.match(error.message, `push to ${registry.host}/team/app`);
  }
});

test('a missing repository and a registry that takes no pushes are told apart, in a single try', async () => {
  const answers = [
    [404, 'NAME_UNKNOWN', 'team/app is not in the registry', 'create the repository'],
    [405, 'UNSUPPORTED', 'takes no pushes', 'read-only'],
  ] as const;
  for (const [status, code, message, hint] of answers) {
    await using server = await startServer((_, response) => {
      response.writeHead(status).end(JSON.stringify({ errors: [{ code, message: 'no such thing' }] }));
    });
    const error = await failureOf(ask(server.host));
    assert.is(error.code, 'registry-error');
    assert.match(error.message, message);
    assert.match(error.message, `${code}: no such thing`);
    assert.match(error.hint ?? '', hint);
    assert.is(server.log.length, 1);
  }
});

test('a registry in trouble is asked three times, and one that forgets uploads is taken at its word', async () => {
  await using broken = await startServer((_, response) => void response.writeHead(503).end());
  assert.match((await failureOf(ask(broken.host))).message, '503');
  assert.is(broken.log.length, 3);
  await using forgetful = await startServer((request, response) => {
    const opened = request.method === 'POST';
    response.writeHead(opened ? 202 : 404, opened ? { location: '/upload/1' } : {}).end();
  });
  await ask(forgetful.host);
  assert.equal(forgetful.log, ['POST /v2/team/app/blobs/uploads/', 'DELETE /upload/1']);
});

test('nobody there is unreachable', async () => {
  assert.is((await failureOf(ask('127.0.0.1:1'))).code, 'registry-unreachable');
});

test.run();

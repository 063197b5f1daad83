import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findCredential, type Credential } from '../../../coordinator/registry/credentials.ts';
import { endpointOf } from '../../../coordinator/registry/endpoint.ts';
import { dockerConfig } from '../../support/docker-config.ts';
import { failureOf } from '../../support/failure.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const { signal } = new AbortController();

async function find(config: unknown, host: string): Promise<Credential | undefined> {
  await using directory = await dockerConfig(config);
  return await findCredential(endpointOf(host, []), {
    directory: directory.path,
    helperTimeout: 10_000,
    signal,
  });
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** Puts a credential helper on the PATH for the time of `work`. */
async function withHelper<T>(name: string, script: string, work: () => Promise<T>): Promise<T> {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, `docker-credential-${name}`);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  const before = process.env['PATH'];
  process.env['PATH'] = `${directory.path}:${before}`;
  try {
    return await work();
  } finally {
    process.env['PATH'] = before;
  }
}

test('splits the user from the password at the first colon [C3]', async () => {
  const config = { auths: { 'reg.example:5000': { auth: base64('bob:p:w?>ÿ') } } };
  assert.equal(await find(config, 'reg.example:5000'), {
    type: 'password',
    username: 'bob',
    password: 'p:w?>ÿ',
  });
  assert.is(await find(config, 'reg.example'), undefined);
  assert.is(await find(config, 'eg.example:5000'), undefined);
});

test('finds Docker Hub under its old key, and keys that carry a scheme and a path [C3]', async () => {
  const expected = { type: 'password', username: 'u', password: 'p' };
  const entry = { auth: base64('u:p') };
  assert.equal(await find({ auths: { 'https://index.docker.io/v1/': entry } }, 'docker.io'), expected);
  assert.equal(await find({ auths: { 'https://quay.io/v2/': entry } }, 'quay.io'), expected);
});

test('prefers what docker login wrote to other keys of the same host, wherever it stands [C3]', async () => {
  const expected = { type: 'password', username: 'me', password: 'right' };
  const [right, stale] = [{ auth: base64('me:right') }, { auth: base64('old:stale') }];
  const hub = { 'docker.io': stale, 'https://index.docker.io/v1/': right };
  assert.equal(await find({ auths: hub }, 'docker.io'), expected);
  const other = { 'https://reg.example/v1/': stale, 'reg.example': right };
  assert.equal(await find({ auths: other }, 'reg.example'), expected);
});

test('prefers an identity token over the password beside it', async () => {
  const config = { auths: { 'acr.example': { auth: base64('0000:'), identitytoken: 'long' } } };
  assert.equal(await find(config, 'acr.example'), { type: 'identity', username: '0000', token: 'long' });
});

test('is anonymous without a file, and says which file is broken without showing what is in it [C3]', async () => {
  await using directory = await temporaryDirectory();
  const options = { directory: directory.path, helperTimeout: 1_000, signal };
  assert.is(await findCredential(endpointOf('a.example', []), options), undefined);
  for (const text of [
    '{"auths":{"a.example":{"auth":["SECRET"]}}}',
    '{"auths": SECRET',
    '{"auths":{"a.example":{"auth":"U0VDUkVU"}}}',
    '["SECRET"]',
  ]) {
    await writeFile(join(directory.path, 'config.json'), text);
    const error = await failureOf(findCredential(endpointOf('a.example', []), options));
    assert.is(error.code, 'config');
    assert.match(error.message, join(directory.path, 'config.json'));
    assert.not.match(error.message, 'SECRET');
  }
});

test('asks the helper of the registry by its key on stdin, before the general store', async () => {
  const script = 'read key; printf \'{"ServerURL":"x","Username":"%s","Secret":"s%s"}\' "$key" "$1"';
  const config = { credHelpers: { 'ecr.example': 'one' }, credsStore: 'nonsense-store' };
  const found = await withHelper('one', script, () => find(config, 'ecr.example'));
  assert.equal(found, { type: 'password', username: 'ecr.example', password: 'sget' });
  const hub = await withHelper('one', script, () => find({ credsStore: 'one' }, 'docker.io'));
  assert.equal(hub, { type: 'password', username: 'https://index.docker.io/v1/', password: 'sget' });
});

test('takes <token> as an identity token, and "not found" as anonymous', async () => {
  const token = 'cat >/dev/null; echo \'{"Username":"<token>","Secret":"id"}\'';
  assert.equal(await withHelper('two', token, () => find({ credsStore: 'two' }, 'a.example')), {
    type: 'identity',
    username: '',
    token: 'id',
  });
  const none = 'echo credentials not found in native keychain; exit 1';
  assert.is(await withHelper('two', none, () => find({ credsStore: 'two' }, 'a.example')), undefined);
});

test('takes an answer without user or secret, from helper or file, as nothing to sign in with', async () => {
  const auths = { 'a.example': { auth: base64('file:kept') } };
  const kept = { type: 'password', username: 'file', password: 'kept' };
  for (const [user, secret] of [
    ['', ''],
    ['somebody', ''],
    ['', 'secret'],
    ['<token>', ''],
  ] as const) {
    const answer = `cat >/dev/null; echo '${JSON.stringify({ ServerURL: '', Username: user, Secret: secret })}'`;
    const ask = (config: unknown): Promise<Credential | undefined> =>
      withHelper('four', answer, () => find(config, 'a.example'));
    assert.is(await ask({ credsStore: 'four' }), undefined, `${user}:${secret}`);
    assert.equal(await ask({ credsStore: 'four', auths }), kept, `${user}:${secret}`);
    const entry = { auth: base64(`${user}:${secret}`) };
    assert.is(await find({ auths: { 'a.example': entry } }, 'a.example'), undefined, `${user}:${secret}`);
  }
});

test('a helper that is missing, fails, hangs, floods or has a bad name is an error that names it [C3]', async () => {
  const config = { credsStore: 'three' };
  const ask = async (helperTimeout: number): Promise<unknown> => {
    await using directory = await dockerConfig(config);
    return await findCredential(endpointOf('a.example', []), {
      directory: directory.path,
      helperTimeout,
      signal,
    });
  };
  assert.match(
    (await failureOf(ask(5_000))).message,
    'docker-credential-three failed for a.example: it is not installed',
  );
  const locked = await withHelper('three', 'echo "keychain locked" >&2; exit 1', () => failureOf(ask(5_000)));
  assert.match(locked.message, 'keychain locked');
  const start = performance.now();
  const slow = await withHelper('three', 'exec sleep 30', () => failureOf(ask(100)));
  assert.match(slow.message, 'no usable answer within 100 ms');
  const flooding = await withHelper('three', 'exec yes', () => failureOf(ask(5_000)));
  assert.match(flooding.message, 'it wrote more than 64 KiB');
  assert.ok(performance.now() - start < 4_000);
  await withHelper('three', 'echo hello', () => failureOf(ask(5_000)));
  assert.match((await failureOf(find({ credsStore: '../../bin/sh' }, 'a.example'))).message, 'not a name');
});

test.run();

/** Registries, and credentials for them, that are of no use, again and again to a coordinator that serves others meanwhile. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { httpServer } from '../../support/http-server.ts';
import { ask } from '../../support/http-request.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { watchedFarm } from '../../support/watched-farm.ts';

const secret = 'not-to-be-told';
const directory = await temporaryDirectory();
const farm = await watchedFarm({
  DOCKER_CONFIG: directory.path,
  PATH: `${directory.path}/bin:${process.env['PATH']}`,
});

/** Whoever is asked here was sent by a registry. */
const heard: string[] = [];
const stranger = await httpServer((request, response) => {
  heard.push(JSON.stringify(request.headers));
  request.resume();
  response.end('<html>');
});

type Answer = (response: ServerResponse, path: string) => void;

function says(status: number, headers: Record<string, string>, body: string | Buffer = ''): Answer {
  return (response) => void response.writeHead(status, headers).end(body);
}

function document(text: string | Buffer, headers: Record<string, string> = {}): Answer {
  return says(200, { 'content-type': 'application/vnd.oci.image.index.v1+json', ...headers }, text);
}

function endless(response: ServerResponse): void {
  const more = (): void => {
    while (!response.destroyed && response.write(' '.repeat(65_536)));
    if (!response.destroyed) response.once('drain', more);
  };
  more();
}

function wants(challenge: string): Answer {
  return says(401, { 'www-authenticate': challenge });
}

/** Wants a token of its own server, which answers with this. */
function tokens(answer: Answer): Answer {
  return (response, path) => {
    if (path.startsWith('/token')) answer(response, path);
    else wants('Bearer realm="/token",service="s"')(response, path);
  };
}

const entry = { mediaType: 'application/vnd.oci.image.manifest.v1+json', size: 1 };
const oneDigest = `sha256:${'0'.repeat(64)}`;
const platform = { os: 'linux', architecture: 'amd64' };
const list = (...manifests: unknown[]): string =>
  JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests });
const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, ' '));
const picture = '\u001b[2J\u001b]52;c;eA==\u0007<html>';
const unusable = /is not a usable manifest/;

/** By row: what the registry answers to whoever asks for a manifest, and what is said of it. */
const rows: Readonly<Record<string, readonly (readonly [Answer, says: RegExp])[]>> = {
  'manifests that are too large, too deep or lie [R2]': [
    [document(picture), unusable],
    [document('{"schemaVersion":2,'), unusable],
    [document(`{"schemaVersion":2,"x":${'['.repeat(1e6)}${']'.repeat(1e6)}}`), /nested too deeply/],
    [document(' '.repeat(4 * 1024 * 1024 + 1)), /larger than 4194304 bytes/],
    [endless, /larger than 4194304 bytes/],
    [document(bomb, { 'content-encoding': 'gzip' }), unusable],
    [document(JSON.stringify({ schemaVersion: 1, fsLayers: [] })), /schema 1 manifest|calls itself|calls it/],
    [document(list({ ...entry, digest: '../../../etc/passwd', platform })), /not a sha256 digest/],
    [document(list({ ...entry, digest: oneDigest, platform, size: -1 })), /size: /],
    [document('{"schemaVersion":2,"__proto__":{"config":1},"constructor":1}'), unusable],
  ],
  'redirects to where nothing should go [R3]': [
    [(response, path) => says(307, { location: path })(response, path), /too many redirects/],
    [says(307, { location: `http://${stranger.url.host}/image` }), unusable],
    [says(307, { location: 'file:///etc/passwd' }), /without TLS/],
    [says(307, { location: 'http://[' }), /a Location that is not a URL/],
    [says(307, {}), /307/],
  ],
  'challenges that are long, broken or dangerous [R4]': [
    [wants('Bearer service="s"'), /where credentials are not sent/],
    [wants('Bearer realm="file:///etc/passwd"'), /where credentials are not sent/],
    [wants('Bearer realm="/token'), /where credentials are not sent/],
    [
      wants(`Bearer realm="http://${stranger.url.host.replace('127.0.0.1', 'stranger.test')}/"`),
      /credentials are not sent/,
    ],
    [wants(`Bearer a=${'="'.repeat(6000)}`), /where credentials are not sent/],
    [wants(`Bearer realm="/token",x="${'x'.repeat(200_000)}"`), /larger than|Headers Overflow/i],
    [wants('Negotiate YIIZ=='), /was denied: .* 401/],
  ],
  'tokens that are missing or too large [R5]': [
    [tokens(says(200, {}, '{}')), /answers without a token/],
    [tokens(says(200, {}, picture)), /answers without a token/],
    [tokens(says(200, {}, '{"token":"a\\r\\nx: 1"}')), /answers without a token/],
    [tokens(says(200, {}, `{"token":"${'x'.repeat(1_000_000)}"}`)), /larger than 65536 bytes/],
    [tokens(endless), /larger than 65536 bytes/],
    [tokens(says(200, {}, '{"token":"bad","access_token":"bad","expires_in":-1e99}')), /was denied: .* 401/],
    [tokens(says(200, {}, '{"token":"bad","expires_in":1e300}')), /was denied: .* 401/],
  ],
  'errors with pictures, of any length [R6]': [
    [says(400, {}, picture), /400 Bad Request/],
    [
      says(400, {}, `{"errors":[{"code":"\u001b[31mX","message":"${'y'.repeat(99_999)}"}]}`),
      /400 Bad Request: .*y/,
    ],
    [says(400, {}, Buffer.alloc(10 * 1024 * 1024, 'z')), /400 Bad Request/],
    [(response) => (response.writeHead(400), endless(response)), /400 Bad Request/],
  ],
};

const cases = Object.values(rows).flat();
const registry = await httpServer((request, response) => {
  request.resume();
  const path = request.url ?? '';
  const [, index] = /^127\.1\.0\.(\d+)/.exec(request.headers.host ?? '') ?? [];
  const [answer] = cases[Number(index) - 1] ?? [wants('Basic realm="r"')];
  answer(response, path);
}, '0.0.0.0');
const { port } = registry.url;
/** Each has a host of its own: how one wants to be signed in to is remembered. */
const hostOf = (index: number): string => `127.1.0.${index + 1}:${port}`;

const refusal = v.object({ error: v.object({ code: v.string(), message: v.string() }) });

/** What a client is told who wants this to be run. */
async function failure(reference: string): Promise<{ code: string; message: string }> {
  const wanted = { timeout: 1000, network: false, platforms: [], allowEmulation: false, waitAgent: 0 };
  const answer = await ask(new URL('/v1/verify', farm.url), {
    method: 'POST',
    body: { reference, ...wanted },
  });
  const { error } = v.parse(refusal, answer.body, { message: JSON.stringify(answer.body) });
  assert.not(/\p{C}/u.test(error.message), 'control characters');
  assert.ok(error.message.length < 4000, 'an endless message');
  assert.not.match(JSON.stringify(answer.body), secret);
  return error;
}

const auth = Buffer.from(`bob:${secret}`).toString('base64');
/** Scripts of helpers, each for a host of its own at which the registry is reached, and what is said of it. */
const helpers: Readonly<Record<string, readonly [script: string, says: RegExp]>> = {
  failing: [
    'echo "keychain locked" >&2; exit 1',
    /docker-credential-failing failed for 127.*keychain locked/,
  ],
  flooding: ['exec yes', /docker-credential-flooding failed for 127.*it wrote more than 64 KiB/],
  painting: ["printf '\\033[2J'", /docker-credential-painting failed for 127/],
  hanging: ['exec sleep 60', /docker-credential-hanging failed for 127.*no usable answer within \d+/],
};
const hosts = Object.keys(helpers).map((_, index) => `127.0.1.${index + 1}:${port}`);
const config = {
  auths: {
    ...Object.fromEntries(cases.map((_, index) => [hostOf(index), { auth }])),
    [`127.0.2.1:${port}`]: { auth: 'U0VDUkVU' },
  },
  credHelpers: {
    ...Object.fromEntries(Object.keys(helpers).map((name, index) => [hosts[index], name])),
    [`127.0.2.2:${port}`]: 'missing',
    [`127.0.2.3:${port}`]: '../../bin/sh',
  },
};

async function writeConfig(text: string): Promise<void> {
  await writeFile(`${directory.path}/config.json`, text);
}

await mkdir(`${directory.path}/bin`);
for (const [name, [script]] of Object.entries(helpers)) {
  const path = `${directory.path}/bin/docker-credential-${name}`;
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
}
await writeConfig(JSON.stringify(config));

/** It takes its time, while all the others come. */
const hangs = failure(`${hosts.at(-1)}/app`);

for (const [what, all] of Object.entries(rows)) {
  test(`a registry answers with ${what}`, async () => {
    await farm.unharmed({ rounds: 44 }, async (round) => {
      const one = all[round % all.length];
      assert.ok(one);
      const { message } = await failure(`${hostOf(cases.indexOf(one))}/app`);
      assert.match(message, one[1], message);
      assert.match(message, port, 'it is named');
    });
    assert.not.match(heard.join('\n'), auth, 'a stranger was told');
  });
}

test('helpers of credentials fail, flood, hang or are none, and the others go on [C3]', async () => {
  const quick = Object.values(helpers)
    .slice(0, -1)
    .map(([, message], index) => [hosts[index], message] as const);
  const all: readonly (readonly [host: string | undefined, says: RegExp])[] = [
    ...quick,
    [`127.0.2.1:${port}`, /config\.json/],
    [`127.0.2.2:${port}`, /docker-credential-missing failed for .*it is not installed/],
    [`127.0.2.3:${port}`, /not a name/],
  ];
  await farm.unharmed({ rounds: 36, atOnce: 4 }, async (round) => {
    const [where, message] = all[round % all.length] ?? [undefined, /^$/];
    const error = await failure(`${where}/app`);
    assert.is(error.code, 'config', error.message);
    assert.match(error.message, message);
  });
  assert.match((await hangs).message, helpers['hanging']?.[1] ?? /^$/);
});

test('files of credentials that are broken are named, and not shown [C3]', async () => {
  const broken = [
    `{"auths": ${secret}`,
    `{"auths":{"x":{"auth":["${secret}"]}}}`,
    '[]',
    `"${secret.repeat(100_000)}"`,
  ];
  await farm.unharmed({ rounds: 40, atOnce: 1 }, async (round) => {
    await writeConfig(broken[round % broken.length] ?? '');
    const error = await failure(`127.0.2.4:${port}/app`);
    assert.is(error.code, 'config');
    assert.match(error.message, `${directory.path}/config.json`);
  });
});

test('the farm is as it was', async () => {
  await farm[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  await stranger[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

test.run();

/** Registries that fail, wait, lie, lose and collect garbage. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { platformOf } from '../support/build-command.ts';
import { amd64, arm64, startLab } from '../support/chaos-lab.ts';
import { readPublished } from '../support/published-image.ts';
import { rowsOf } from './row.ts';

const run = promisify(execFile);
const lab = await startLab({ emulated: true });
const row = rowsOf(lab);
const isFull = process.env['ARCHFARM_TEST_FULL'] === '1';

/** The kinds of requests that a build makes. */
const kinds: Readonly<Record<string, RegExp>> = {
  'a look at a blob': /^HEAD .*\/blobs\/sha256/,
  'a look at a manifest': /^HEAD .*\/manifests\//,
  'a manifest that is read': /^GET .*\/manifests\//,
  'a blob that is read': /^GET .*\/blobs\/sha256/,
  'an upload that begins': /^POST .*\/blobs\/uploads/,
  'bytes that are uploaded': /^PATCH /,
  'an upload that ends': /^PUT .*\/blobs\/uploads/,
  'a manifest that is put': /^PUT .*\/manifests\//,
};

function kindOf({ method, url }: IncomingMessage): string | undefined {
  return Object.keys(kinds).find((kind) => kinds[kind]?.test(`${method} ${url}`));
}

/** As a registry that signs in by tokens, which the lab itself gives out. */
function askForToken(request: IncomingMessage, response: ServerResponse, error = ''): void {
  request.resume();
  const [, repository] = /^\/v2\/(.+)\/(?:blobs|manifests)\//.exec(request.url ?? '') ?? [];
  const scope = repository === undefined ? '' : `,scope="repository:${repository}:pull,push"`;
  const challenge = `Bearer realm="http://${lab.host}/token",service="lab"${scope}${error}`;
  response.writeHead(401, { 'www-authenticate': challenge, 'content-type': 'application/json' });
  response.end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}');
}

// First: the registry's collector fails on a repository in which nothing has a tag, as others leave it here.
row('F46: with --child-tags, images outlive a garbage collection of what has no tag', async (name) => {
  const order = await lab.order(name, { platforms: [amd64, arm64] });
  await using build = lab.start(order, ['--child-tags']);
  const { status, stderr } = await build.ended();
  assert.is(status, 0, stderr);
  await run('docker-registry', ['garbage-collect', '-m', `${lab.registry.dir}/config.yml`]);
  const published = await readPublished({ host: lab.registry.host, repository: name });
  assert.equal(published?.platforms, [amd64, arm64]);
});

row('F41: each kind of request may fail, in several ways, and the build succeeds', async (name) => {
  const failures = [500, 502, 503, 'reset'] as const;
  const failed = new Map<string, number>();
  let next = 0;
  lab.disturb((request, response) => {
    const kind = kindOf(request);
    const times = failed.get(kind ?? '') ?? 0;
    if (kind === undefined || times >= 2) return false;
    failed.set(kind, times + 1);
    const failure = failures[next++ % failures.length];
    if (typeof failure === 'number') {
      request.resume();
      response.writeHead(failure).end();
    } else request.socket.destroy();
    return true;
  });
  const order = await lab.order(name, { platforms: [amd64, arm64], padding: 100_000 });
  await using build = lab.start(order);
  const { status, stderr } = await build.ended();
  assert.is(status, 0, stderr);
  const missed = Object.keys(kinds).filter((kind) => !failed.has(kind));
  // Engines that know where a layer lies mount it; a blob is read only to be copied.
  assert.ok(missed.length <= 2, `never asked for: ${missed.join(', ')}`);
});

row(
  'F41b: a registry that never takes the tag is the infrastructure’s failure, and the tag stays',
  async (name) => {
    const good = await lab.order(name);
    await using published = lab.start(good);
    assert.is((await published.ended()).status, 0);
    const isTag = ({ method, url }: IncomingMessage): boolean =>
      method === 'PUT' && url === `/v2/${name}/manifests/latest`;
    lab.disturb((request, response) => {
      if (!isTag(request)) return false;
      request.resume();
      response.writeHead(503).end();
      return true;
    });
    const order = await lab.order(name);
    await using build = lab.start(order);
    const { status, stderr } = await build.ended();
    assert.is(status, 3, stderr);
    assert.match(stderr, `${lab.host}/${name}`);
  },
);

row('F42: a registry that is too busy is asked again when it says, whatever it says', async (name) => {
  const waits = ['1', undefined, '-5', 'Wed, 21 Oct 2015 07:28:00 GMT', ...(isFull ? ['999999999'] : [])];
  let refused = 0;
  lab.disturb((request, response) => {
    const isTag = request.method === 'PUT' && request.url === `/v2/${name}/manifests/latest`;
    if (!isTag || refused >= Math.min(4, waits.length)) return false;
    const after = waits[waits.length - 1 - refused];
    refused += 1;
    request.resume();
    response.writeHead(429, after === undefined ? {} : { 'retry-after': after }).end();
    return true;
  });
  const order = await lab.order(name);
  await using build = lab.start(order);
  const { status, stderr } = await build.ended();
  assert.is(status, 0, stderr);
  assert.is(refused, 4);
});

row('F43: a registry that forbids is believed at once, and named with what it forbids', async (name) => {
  let asked = 0;
  lab.disturb((request, response) => {
    const isTag = request.method === 'PUT' && request.url === `/v2/${name}/manifests/latest`;
    if (!isTag) return false;
    asked += 1;
    request.resume();
    response.writeHead(403, { 'content-type': 'application/json' });
    response.end('{"errors":[{"code":"DENIED","message":"requested access is denied"}]}');
    return true;
  });
  const order = await lab.order(name);
  await using build = lab.start(order);
  const { status, stderr } = await build.ended();
  assert.is(status, 3, stderr);
  assert.is(asked, 1, 'a refusal was asked again');
  assert.match(stderr, `${lab.host}/${name}`);
});

row(
  'F43b: a token that ends in the middle of a push is replaced, and nothing is built again',
  async (name) => {
    const good = new Set<string>();
    const ended: string[] = [];
    /** What its token does not live to see: the engine’s last request, and the coordinator’s. */
    const late = new Set([`/v2/${name}-amd64/manifests/latest`, `/v2/${name}/manifests/latest`]);
    lab.disturb((request, response) => {
      const { method, url = '', headers } = request;
      if (url.startsWith('/token?')) {
        const token = randomUUID();
        good.add(token);
        response.end(JSON.stringify({ token, expires_in: 5 }));
        return true;
      }
      const token = headers.authorization?.replace('Bearer ', '') ?? '';
      if (method === 'PUT' && late.delete(url)) {
        good.delete(token);
        ended.push(url);
      }
      if (good.has(token)) return false;
      askForToken(request, response);
      return true;
    });
    const order = await lab.order(name);
    await using build = lab.start(order);
    const { status, stderr, result } = await build.ended();
    assert.is(status, 0, stderr);
    assert.equal(ended, [`/v2/${name}-amd64/manifests/latest`, `/v2/${name}/manifests/latest`]);
    assert.is(platformOf(result, amd64).attempts.length, 1);
    assert.is(lab.gate.runs(order.nonce), 1, 'it was built again');
  },
);

row(
  'F43c: a right to push that is gone when it is used is believed at once, and named, and nothing is built again',
  async (name) => {
    const order = await lab.order(name);
    let tokens = 0;
    lab.disturb((request, response) => {
      const { method = '', url = '', headers } = request;
      // It was there when the build was planned.
      const hasShrunk = lab.gate.runs(order.nonce) > 0;
      if (url.startsWith('/token?')) {
        if (hasShrunk) tokens += 1;
        response.end(JSON.stringify({ token: randomUUID() }));
        return true;
      }
      const isWrite = ['POST', 'PUT', 'PATCH'].includes(method);
      if (headers.authorization !== undefined && !(hasShrunk && isWrite)) return false;
      askForToken(
        request,
        response,
        headers.authorization === undefined ? '' : ',error="insufficient_scope"',
      );
      return true;
    });
    await using build = lab.start(order);
    const { status, stderr } = await build.ended();
    assert.is(status, 3, stderr);
    assert.match(stderr, `push of ${lab.host}/${name}-amd64:latest failed: denied`);
    assert.is(tokens, 1, 'the one for the push');
    assert.is(lab.gate.runs(order.nonce), 1, 'it was built again');
  },
);

row('F44: a registry that is slow is waited for', async (name) => {
  let slow = 0;
  lab.disturb((request) => {
    if (!kinds['a manifest that is read']?.test(`${request.method} ${request.url}`)) return false;
    slow += 1;
    return async (answer, response) => {
      const body = await buffer(answer);
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      for (let at = 0; at < body.length; at += 100) {
        response.write(body.subarray(at, at + 100));
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      response.end();
    };
  });
  const order = await lab.order(name);
  await using build = lab.start(order);
  const { status, stderr } = await build.ended();
  assert.is(status, 0, stderr);
  assert.ok(slow > 0, 'nothing was slow');
});

row(
  'F45: a child that its registry loses before the list is put is brought again, or nothing is published',
  async (name) => {
    let lost: string | undefined;
    lab.disturb(async (request) => {
      const isTag = request.method === 'PUT' && request.url === `/v2/${name}/manifests/latest`;
      if (!isTag || lost !== undefined) return false;
      const child = lab.journal.puts.find((put) => put.repository === name)?.digest;
      lost = child ?? '';
      await fetch(`http://${lab.registry.host}/v2/${name}/manifests/${child}`, { method: 'DELETE' });
      return false;
    });
    const order = await lab.order(name, { platforms: [amd64, arm64] });
    await using build = lab.start(order);
    const { status, stderr } = await build.ended();
    assert.ok(lost, 'there was no child to lose');
    assert.ok(status === 0 || status === 3, stderr);
    const refused = lab.journal.puts.filter((put) => put.repository === name && put.name === 'latest');
    assert.is(refused[0]?.status, 400, 'the registry took a list without its child');
    // It was refused, and is not to be held against anybody.
    lab.journal.forgive((put) => put.repository === name && put.status === 400);
  },
);

row('F47: a registry that gives another manifest than was asked for gets nothing published', async (name) => {
  lab.disturb((request) => {
    const isChild =
      request.method === 'GET' && request.url?.startsWith(`/v2/${name}-amd64/manifests/`) === true;
    if (!isChild) return false;
    return async (answer, response) => {
      const body = await buffer(answer);
      const other = Buffer.from(body.toString().replace('"schemaVersion": 2', '"schemaVersion":  2'));
      response.writeHead(answer.statusCode ?? 502, { ...answer.headers, 'content-length': other.length });
      response.end(other);
    };
  });
  const order = await lab.order(name);
  await using build = lab.start(order);
  const { status, stderr } = await build.ended();
  assert.is(status, 3, stderr);
  assert.match(stderr, `${name}-amd64`);
});

test('gives everything back', async () => {
  await lab[Symbol.asyncDispose]();
});

test.run();

/** A registry that means harm, or is merely broken. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { networkInterfaces } from 'node:os';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { getManifest } from '../../../coordinator/registry/manifests.ts';
import { endpointOf } from '../../../coordinator/registry/endpoint.ts';
import { Registries } from '../../../coordinator/registry/registries.ts';
import { defaultTiming, type RegistryTiming } from '../../../coordinator/registry/timing.ts';
import { Transport } from '../../../coordinator/registry/transport.ts';
import { Trust } from '../../../coordinator/registry/trust.ts';
import type { Manifest } from '../../../coordinator/manifest/document.ts';
import { parseReference } from '../../../shared/reference.ts';
import { dockerConfig, signedIn } from '../../support/docker-config.ts';
import { failureOf } from '../../support/failure.ts';
import type { Handler } from '../../support/http-server.ts';
import { startServer } from '../../support/logged-server.ts';
import { lookupOf } from '../../support/tls-proxy.ts';

const quick: RegistryTiming = { ...defaultTiming, tries: 3, firstPause: 1, maxPause: 5, answer: 2_000 };
const manifest = '{"schemaVersion":2,"config":{},"layers":[]}';

/** Reads one manifest from the host as bob. */
async function read(
  host: string,
  options: { user?: string; insecure?: string[]; timing?: RegistryTiming; signal?: AbortSignal } = {},
): Promise<Manifest | undefined> {
  await using config =
    options.user === undefined ? await dockerConfig({}) : await signedIn(host, options.user);
  const { insecure = [], timing = quick, signal = new AbortController().signal } = options;
  await using registries = new Registries({ configDirectory: config.path, insecure, timing });
  return await getManifest(registries.repository(parseReference(`${host}/a`)), 'latest', signal);
}

function answer(response: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  response.writeHead(status, headers).end();
}

/** Answers the first requests as told, then with a manifest. */
function afterFailures(count: number, fail: Handler): Handler {
  let seen = 0;
  return (request, response) => (seen++ < count ? fail(request, response) : void response.end(manifest));
}

/** A body without end, as fast as it is taken. */
function flood(status: number): Handler {
  return (_, response) => {
    response.writeHead(status, { 'content-type': 'text/html' });
    const pump = (): void => {
      while (!response.destroyed && response.write('<p>x'.repeat(4096)));
      if (!response.destroyed) response.once('drain', pump);
    };
    pump();
  };
}

/** A body that never comes to its end. */
function drip(_: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'content-length': '1000000' });
  response.write('{');
}

test('tries again on passing failures and honours Retry-After', async () => {
  const failures: Handler[] = [
    (_, response) => answer(response, 503),
    (_, response) => answer(response, 429, { 'retry-after': '0' }),
    (_, response) => answer(response, 429, { 'retry-after': new Date(0).toUTCString() }),
    (request) => void request.socket.destroy(),
    (_, response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('{"schema', () => response.destroy());
    },
  ];
  for (const fail of failures) {
    await using server = await startServer(afterFailures(2, fail));
    assert.is((await read(server.host))?.bytes.toString(), manifest);
    assert.is(server.log.length, 3);
  }
  await using slow = await startServer(
    afterFailures(1, (_, response) => answer(response, 503, { 'retry-after': '1' })),
  );
  const start = performance.now();
  await read(slow.host);
  assert.ok(performance.now() - start > 950);
});

test('gives up after the last try with method, address, status and what the registry said', async () => {
  await using server = await startServer((_, response) => {
    response.writeHead(503);
    response.end('{"errors":[{"code":"UNAVAILABLE","message":"disk \\u001b[31mfull"}]}');
  });
  const error = await failureOf(read(server.host));
  assert.is(server.log.length, quick.tries);
  assert.is(error.code, 'registry-error');
  const said = 'GET http://HOST/v2/a/manifests/latest: 503 Service Unavailable: UNAVAILABLE: disk [31mfull';
  assert.match(error.message, said.replace('HOST', server.host));
  assert.match(error.hint ?? '', `${server.host} has a fault of its own`);
  await using strict = await startServer((_, response) => answer(response, 429, { 'retry-after': '0' }));
  assert.match((await failureOf(read(strict.host))).hint ?? '', 'limits how much it is asked');
});

test('an error does not repeat what the request was signed with, though the registry does', async () => {
  await using server = await startServer(({ headers: { authorization = '' } }, response) => {
    if (authorization === '') return answer(response, 401, { 'www-authenticate': 'Basic realm="r"' });
    const message = `${authorization} is ${Buffer.from(authorization.slice(6), 'base64').toString()}`;
    response.writeHead(400).end(JSON.stringify({ errors: [{ code: 'DENIED', message }] }));
  });
  const { message } = await failureOf(read(server.host, { user: 'bob:secret-of-bob' }));
  assert.match(message, /400 Bad Request: DENIED: Basic \*\*\* is bob:\*\*\*$/);
});

test('does not try again what will not change', async () => {
  for (const status of [400, 403, 405, 415]) {
    await using server = await startServer((_, response) => answer(response, status));
    await failureOf(read(server.host));
    assert.is(server.log.length, 1);
  }
});

test('bounds every body, and shows 2 KiB of an error [R2, R6]', async () => {
  await using large = await startServer(flood(200));
  assert.match((await failureOf(read(large.host))).message, 'larger than 4194304 bytes');
  await using broken = await startServer(flood(400));
  assert.ok((await failureOf(read(broken.host))).message.length < 3 * 1024);
});

test('an answer that drips is cut off, and a signal ends any wait at once', async () => {
  await using server = await startServer(drip);
  const timing = { ...quick, tries: 1, answer: 100 };
  assert.match((await failureOf(read(server.host, { timing }))).message, 'no whole answer within 100 ms');
  const stop = new AbortController();
  const reading = read(server.host, { signal: stop.signal }).catch((error: unknown) => error);
  stop.abort(new Error('enough'));
  assert.match(String(await reading), 'enough');
});

test('follows a redirect to another host without the credentials [R3]', async () => {
  const seen: (string | undefined)[] = [];
  const note = (request: IncomingMessage): void => void seen.push(request.headers.authorization);
  await using elsewhere = await startServer((request, response) => {
    note(request);
    response.end(manifest);
  });
  await using server = await startServer((request, response) => {
    note(request);
    if (request.headers.authorization === undefined) {
      return answer(response, 401, { 'www-authenticate': 'Basic realm="x"' });
    }
    answer(response, 307, { location: `http://${elsewhere.host}/blob?signature=1` });
  });
  assert.is((await read(server.host, { user: 'bob:secret' }))?.bytes.toString(), manifest);
  assert.equal(seen, [undefined, `Basic ${Buffer.from('bob:secret').toString('base64')}`, undefined]);
});

test('does not go round in circles [R3]', async () => {
  await using circle = await startServer((_, response) => answer(response, 302, { location: '/again' }));
  assert.match((await failureOf(read(circle.host))).message, 'too many redirects');
});

test('a registry elsewhere cannot send us to this machine [R3]', async () => {
  const address = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
  if (address === undefined) return;
  await using inner = await startServer((_, response) => void response.end(manifest));
  const redirects: Handler = (_, response) =>
    answer(response, 302, { location: `http://${inner.host}/secret` });
  const realm: Handler = (_, response) =>
    answer(response, 401, { 'www-authenticate': `Bearer realm="http://${inner.host}/token"` });
  for (const handler of [redirects, realm]) {
    await using server = await startServer(handler, '0.0.0.0');
    const host = server.host.replace('0.0.0.0', address);
    const error = await failureOf(read(host, { insecure: [host] }));
    assert.match(error.message, 'a loopback address that it may not send us to');
  }
  assert.equal(inner.log, []);
});

test('a name that leads to a forbidden address is not even connected to, whatever else it leads to', async () => {
  const connections: string[] = [];
  await using inner = await startServer((request, response) => {
    connections.push(request.url ?? '');
    response.end(manifest);
  });
  const port = inner.host.replace(/.*:/, '');
  const addresses = [
    '127.0.0.1',
    '169.254.169.254',
    '::1',
    '::ffff:127.0.0.1',
    'fd00::1',
    '0.0.0.0',
    '10.0.0.1',
  ];
  for (const address of addresses) {
    const lookup = lookupOf({ 'inner.test': address });
    const transport = new Transport(endpointOf('registry.test', ['registry.test']), {
      timing: quick,
      trust: new Trust(),
      lookup,
    });
    const url = new URL(`http://inner.test:${port}/metadata`);
    const { signal } = new AbortController();
    const error = await failureOf(transport.send({ method: 'GET', url, headers: {} }, signal));
    assert.match(error.message, 'registry registry.test points at inner.test');
    await transport.close();
  }
  assert.equal(connections, []);
});

test('gives credentials to no realm that is unsafe, and follows no redirect of a token server', async () => {
  const seen: string[] = [];
  await using thief = await startServer((request, response) => {
    seen.push(request.headers.authorization ?? 'nothing');
    response.end('{"token":"x"}');
  });
  for (const realm of ['ftp://a.example/', `http://bob:x@${thief.host}/`, 'http://[', '', 'javascript:1']) {
    const challenge = { 'www-authenticate': `Bearer realm="${realm}",service="s"` };
    await using server = await startServer((_, response) => answer(response, 401, challenge));
    const error = await failureOf(read(server.host, { user: 'bob:secret' }));
    assert.is(error.code, 'registry-error');
    assert.match(error.message, 'where credentials are not sent');
  }
  await using server = await startServer((request, response) => {
    if (request.url?.startsWith('/token') === true)
      return answer(response, 302, { location: `http://${thief.host}/` });
    answer(response, 401, { 'www-authenticate': 'Bearer realm="/token",service="s"' });
  });
  assert.match((await failureOf(read(server.host, { user: 'bob:secret' }))).message, '302');
  assert.equal(seen, []);
});

test('a token server that is in trouble is tried as often as a registry, and is what the error names', async () => {
  const asked: string[] = [];
  let status = 503;
  await using server = await startServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://host');
    asked.push(pathname);
    if (pathname === '/token') return answer(response, status, { 'retry-after': '60' });
    return answer(response, 401, { 'www-authenticate': 'Bearer realm="/token",service="s"' });
  });
  // Three waits are longer together than one answer may take.
  const timing = { ...quick, maxRetryAfter: 200, answer: 300 };
  for (status of [503, 429]) {
    asked.length = 0;
    const error = await failureOf(read(server.host, { user: 'bob:secret', timing }));
    assert.match(error.message, `GET http://${server.host}/token`);
    assert.match(error.message, String(status));
    assert.is(asked.filter((path) => path === '/token').length, timing.tries);
    assert.is(asked.length, timing.tries + 1);
  }
});

test('an identity token is exchanged by POST, and by GET where the server knows no other way', async () => {
  for (const status of [200, 404]) {
    const bodies: string[] = [];
    await using server = await startServer(async (request, response) => {
      if (request.url?.startsWith('/token') !== true) {
        if (request.headers.authorization === 'Bearer right') return void response.end(manifest);
        return answer(response, 401, { 'www-authenticate': 'Bearer realm="/token",service="s"' });
      }
      let body = '';
      for await (const chunk of request) body += String(chunk);
      bodies.push(request.method === 'GET' ? String(request.headers.authorization) : body);
      if (request.method === 'POST' && status !== 200) return answer(response, status);
      response.end('{"access_token":"right"}');
    });
    const entry = { identitytoken: 'long-lived', auth: Buffer.from('user:').toString('base64') };
    await using config = await dockerConfig({ auths: { [server.host]: entry } });
    await using registries = new Registries({ configDirectory: config.path, timing: quick });
    const repository = registries.repository(parseReference(`${server.host}/a`));
    assert.ok(await getManifest(repository, 'latest', new AbortController().signal));
    assert.is(new URLSearchParams(bodies[0]).get('refresh_token'), 'long-lived');
    assert.is(new URLSearchParams(bodies[0]).get('scope'), 'repository:a:pull');
    const basic = `Basic ${Buffer.from('user:long-lived').toString('base64')}`;
    assert.equal(bodies.slice(1), status === 200 ? [] : [basic]);
  }
});

test('a registry that signs in elsewhere by now, or not at all, is asked anew', async () => {
  let realm: string | undefined = '/token';
  await using server = await startServer((request, response) => {
    const path = new URL(request.url ?? '', 'http://host').pathname;
    if (path === realm) return void response.end(`{"token":"of${realm}","expires_in":1}`);
    if (path.includes('token')) return answer(response, 404);
    if (realm === undefined || request.headers.authorization === `Bearer of${realm}`)
      return void response.end(manifest);
    return answer(response, 401, { 'www-authenticate': `Bearer realm="${realm}",service="s"` });
  });
  await using registries = new Registries({ timing: quick });
  // Of several repositories, as each has tokens of its own.
  const has = async (repository: string): Promise<boolean> => {
    const asked = registries.repository(parseReference(`${server.host}/${repository}`));
    return (await getManifest(asked, 'latest', new AbortController().signal)) !== undefined;
  };
  assert.ok(await has('a'));
  realm = '/other-token';
  assert.ok(await has('b'));
  realm = undefined;
  assert.ok(await has('c'));
});

test('a token whose server gives it no time lasts the usual one, and one of a second is not used again', async () => {
  for (const [lifetime, times] of [
    [0, 1],
    [-5, 1],
    [1, 2],
  ] as const) {
    await using server = await startServer((request, response) => {
      if (request.url?.startsWith('/token') === true)
        return void response.end(`{"token":"good","expires_in":${lifetime}}`);
      if (request.headers.authorization === 'Bearer good') return void response.end(manifest);
      return answer(response, 401, { 'www-authenticate': 'Bearer realm="/token",service="s"' });
    });
    await using registries = new Registries({ configDirectory: '/nonexistent', timing: quick });
    const repository = registries.repository(parseReference(`${server.host}/a`));
    for (let count = 0; count < 2; count++)
      assert.ok(await getManifest(repository, 'latest', new AbortController().signal));
    const asked = server.log.filter((line) => line.startsWith('GET /token')).length;
    assert.is(asked, times, String(lifetime));
  }
});

test('content that is not what its digest says is refused', async () => {
  await using server = await startServer((_, response) => {
    response.writeHead(200, { 'docker-content-digest': `sha256:${'0'.repeat(64)}` }).end(manifest);
  });
  assert.match((await failureOf(read(server.host))).message, 'gave other content');
});

test('a host that speaks no TLS is unreachable, with the option that would help', async () => {
  await using server = await startServer((_, response) => void response.end(manifest));
  // An address of this machine that is not one of those spoken to without TLS by themselves.
  const host = server.host.replace('127.0.0.1', '0.0.0.0');
  const error = await failureOf(read(host));
  assert.is(error.code, 'registry-unreachable');
  assert.match(error.hint ?? '', `--insecure-registry ${host}`);
  assert.ok(await read(host, { insecure: [host] }));
});

test.run();

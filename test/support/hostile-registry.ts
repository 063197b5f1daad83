/**
 * A real registry behind a proxy that lies as a test tells it to, and a stranger beside it who notes all that reaches him.
 * An image waits in it to be published under another name.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { LookupFunction } from 'node:net';
import * as assert from 'uvu/assert';
import { pushList } from '../../coordinator/manifest/push-list.ts';
import { Registries } from '../../coordinator/registry/registries.ts';
import { defaultTiming } from '../../coordinator/registry/timing.ts';
import { startRegistry } from '../../scripts/rig/registry.ts';
import { Resources } from '../../scripts/rig/resources.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { testAuthority } from './certificates.ts';
import { dockerConfig } from './docker-config.ts';
import { startFaultProxy, type Hook } from './fault-proxy.ts';
import { startServer } from './logged-server.ts';
import { pullDocument, pushSample, type SampleImage } from './sample-image.ts';
import { lookupOf, startTlsProxy } from './tls-proxy.ts';

const user = 'bob';
const password = 'not-to-be-told';
const identity = 'nor-is-this';
export const basic = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
const secrets = [password, identity, basic.slice('Basic '.length)];

const timing = {
  ...defaultTiming,
  tries: 2,
  firstPause: 1,
  maxPause: 2,
  maxRetryAfter: 5,
  answer: 700,
  idle: 700,
};

/** Where things are, as the hooks of a case need to know. */
export interface Places {
  /** `NAME:PORT` of the registry. */
  readonly host: string;
  /** `NAME:PORT` of the stranger, who answers everything. */
  readonly stranger: string;
  readonly image: SampleImage;
}

export interface Case {
  /** What the registry does. */
  readonly hook: (places: Places) => Hook;
  /** What the error says; the list is published where absent. */
  readonly says?: RegExp;
  /** Of that error; 3 where absent. */
  readonly status?: number;
  readonly tls?: boolean;
  /** What the user has for it; user and password where absent. */
  readonly with?: 'identity' | 'nothing';
  readonly tokenServers?: readonly string[];
  /** Whether the stranger is asked for something, though he is told nothing. */
  readonly asksStranger?: boolean;
}

export interface HostileRegistry extends AsyncDisposable {
  /** Publishes the image; throws where that ends otherwise than the case says, or where somebody learns a secret. */
  run(one: Case): Promise<void>;
}

export async function hostileRegistry(): Promise<HostileRegistry> {
  await using parts = new Resources();
  const registry = parts.use(await startRegistry());
  const authority = parts.use(await testAuthority());
  const certificate = await authority.sign('DNS:registry.farm.test');
  const image = await pushSample(
    { host: registry.host, repository: 'app' },
    { platform: { os: 'linux', architecture: 'amd64' } },
  );
  const heard: string[] = [];
  const stranger = parts.use(await startServer((request, response) => listen(request, response, heard)));
  const lookup: LookupFunction = lookupOf({
    'registry.farm.test': '127.0.0.1',
    'auth.farm.test': '127.0.0.1',
    'tokens.test': '127.0.0.1',
    'stranger.test': '127.0.0.1',
    'metadata.farm.test': '169.254.169.254',
  });
  let count = 0;

  async function run(one: Case): Promise<void> {
    const repository = `target-${++count}`;
    heard.length = 0;
    let hook: Hook = () => false;
    await using proxy = await startFaultProxy(registry.host, (request, response) => hook(request, response));
    await using tls =
      one.tls === true
        ? await startTlsProxy(proxy.host, { cert: certificate.certificate, key: certificate.key })
        : undefined;
    const host = `registry.farm.test:${tls?.port ?? proxy.host.replace(/.*:/, '')}`;
    hook = one.hook({ host, stranger: stranger.host.replace('127.0.0.1', 'stranger.test'), image });
    await using config = await dockerConfig({ auths: credentials(host, one.with) });
    await using registries = new Registries({
      configDirectory: config.path,
      insecure: one.tls === true ? [] : [host],
      authorityFiles: [authority.file],
      tokenServers: one.tokenServers ?? [],
      lookup,
      timing,
    });
    const work = pushList(
      {
        names: [`${host}/${repository}`],
        sources: [{ image: `${host}/app`, platform: { os: 'linux', architecture: 'amd64' } }],
        type: 'auto',
        ignoreMissing: false,
        force: false,
      },
      registries,
      { signal: AbortSignal.timeout(20_000), onWarning: () => {} },
    );
    const error: unknown = await work.then(nothing, (thrown: unknown) => thrown);
    const published = await pullDocument({ host: registry.host, repository }, 'latest');
    if (one.says === undefined) {
      if (error !== undefined) throw error;
      assert.ok(published, 'nothing is published');
      assert.match(published.bytes.toString(), image.digest);
    } else {
      if (!(error instanceof ArchfarmError)) throw new Error('no error of ours', { cause: error });
      assert.match(error.message, one.says, error.message);
      if (error.exitStatus === 3) assert.match(error.message, 'registry.farm.test');
      assert.is(error.exitStatus, one.status ?? 3);
      assert.not(/\p{C}/u.test(error.message), 'control characters');
      assert.ok(error.message.length < 4_000, 'an endless message');
      assert.is(published, undefined, 'published in spite of an error');
      for (const secret of secrets) assert.not.match(`${error.message} ${error.hint}`, secret);
    }
    for (const secret of secrets) assert.not.match(heard.join('\n'), secret);
    assert.is(heard.length > 0, one.asksStranger ?? false, `the stranger heard ${heard.join('; ')}`);
  }

  const all = parts.move();
  return { run, [Symbol.asyncDispose]: () => all[Symbol.asyncDispose]() };
}

const nothing = (): undefined => undefined;

function credentials(host: string, kind: Case['with']): Record<string, unknown> {
  if (kind === 'nothing') return {};
  const auth = basic.slice('Basic '.length);
  return { [host]: kind === 'identity' ? { identitytoken: identity, username: user } : { auth } };
}

/** Says yes to everything, as somebody would who wants more of it. */
async function listen(request: IncomingMessage, response: ServerResponse, heard: string[]): Promise<void> {
  let body = '';
  for await (const piece of request.setEncoding('latin1')) body += String(piece);
  heard.push(`${request.method} ${request.url} ${JSON.stringify(request.headers)} ${body}`);
  response.writeHead(request.method === 'PUT' ? 201 : 200).end('{"token":"good"}');
}

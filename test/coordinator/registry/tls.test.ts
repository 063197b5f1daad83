/** Registries behind TLS: a real one behind a TLS server, with certificates of an authority of the test's own. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TlsOptions } from 'node:tls';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { getManifest } from '../../../coordinator/registry/manifests.ts';
import { canPush } from '../../../coordinator/registry/preflight.ts';
import { Registries, type RegistriesOptions } from '../../../coordinator/registry/registries.ts';
import { defaultTiming } from '../../../coordinator/registry/timing.ts';
import { parseReference } from '../../../shared/reference.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { testAuthority, type Pair, type TestAuthority } from '../../support/certificates.ts';
import { dockerConfig } from '../../support/docker-config.ts';
import { failureOf } from '../../support/failure.ts';
import { startServer } from '../../support/logged-server.ts';
import { pushSample } from '../../support/sample-image.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { lookupOf, startTlsProxy } from '../../support/tls-proxy.ts';

const { signal } = new AbortController();
const lookup = lookupOf({ 'registry.test': '127.0.0.1', 'other.test': '127.0.0.1' });
const manifest = '{"schemaVersion":2,"config":{},"layers":[]}';

function served({ certificate, key }: Pair): TlsOptions {
  return { cert: certificate, key };
}

async function read(host: string, options: RegistriesOptions): Promise<string | undefined> {
  await using config = await dockerConfig({});
  const timing = { ...defaultTiming, tries: 2, firstPause: 1 };
  await using registries = new Registries({ configDirectory: config.path, lookup, timing, ...options });
  const repository = registries.repository(parseReference(`${host}/a`));
  return (await getManifest(repository, 'latest', signal))?.bytes.toString();
}

/** Files below `DIRECTORY/HOST/`, as Docker's certs.d has them. */
async function keep(directory: string, host: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(join(directory, host), { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, host, name), text);
}

/** A server of one manifest behind TLS, and its reference host. */
async function withServer(
  options: TlsOptions,
  work: (host: string, log: readonly string[]) => Promise<void>,
): Promise<void> {
  await using server = await startServer((_, response) => void response.end(manifest));
  await using proxy = await startTlsProxy(server.host, options);
  await work(`registry.test:${proxy.port}`, server.log);
}

async function withAuthority(work: (authority: TestAuthority) => Promise<void>): Promise<void> {
  await using authority = await testAuthority();
  await work(authority);
}

test('a registry of a private authority is read and pushed to with --registry-ca or what Docker keeps for it', async () => {
  await using authority = await testAuthority();
  await using registry = await startRegistry();
  const image = await pushSample(
    { host: registry.host, repository: 'a' },
    {
      platform: { os: 'linux', architecture: 'amd64' },
    },
  );
  await using proxy = await startTlsProxy(registry.host, served(await authority.sign('DNS:registry.test')));
  const host = `registry.test:${proxy.port}`;
  assert.is(await read(host, { authorityFiles: [authority.file] }), image.bytes.toString());

  await using certificates = await temporaryDirectory();
  await keep(certificates.path, host, { 'ca.crt': authority.certificate });
  assert.is(await read(host, { certificateDirectory: certificates.path }), image.bytes.toString());

  await using config = await dockerConfig({});
  const options = { configDirectory: config.path, lookup, authorityFiles: [authority.file] };
  await using registries = new Registries(options);
  await canPush(registries.repository(parseReference(`${host}/new/one`)), signal);
});

test('an unknown authority, an expired certificate and another name are told apart, each with what to do', () =>
  withAuthority(async (authority) => {
    const known = { authorityFiles: [authority.file] };
    const good = served(await authority.sign('DNS:registry.test'));
    await withServer(good, async (host, log) => {
      const error = await failureOf(read(host, {}));
      assert.is(error.code, 'registry-unreachable');
      assert.match(
        error.message,
        `registry ${host} shows a certificate of an authority that is not trusted here`,
      );
      assert.match(error.hint ?? '', '--registry-ca FILE');
      assert.match(error.hint ?? '', `/etc/docker/certs.d/${host}/ca.crt`);
      assert.equal(log, []);
    });
    await withServer(served(await authority.sign('DNS:registry.test', { expired: true })), async (host) => {
      assert.match((await failureOf(read(host, known))).message, 'a certificate that has expired');
    });
    await withServer(served(await authority.sign('DNS:elsewhere.test')), async (host) => {
      assert.match((await failureOf(read(host, known))).message, 'a certificate for another name');
    });
  }));

test('a client certificate is shown where Docker keeps one, and its lack is named', () =>
  withAuthority(async (authority) => {
    const { files } = await authority.sign('DNS:registry.test');
    const client = await authority.sign('DNS:client.test');
    await using registry = await startRegistry({ tls: { ...files, clientcas: [authority.file] } });
    const host = registry.host.replace('127.0.0.1', 'registry.test');
    await using certificates = await temporaryDirectory();
    const options = { certificateDirectory: certificates.path };
    await keep(certificates.path, host, { 'ca.crt': authority.certificate });
    const error = await failureOf(read(host, options));
    assert.is(error.code, 'registry-unreachable');
    assert.match(error.message, /did not accept the certificate that was shown to it, or wants one: .*alert/);
    assert.not.match(error.message, /openssl/);
    assert.match(error.hint ?? '', `/etc/docker/certs.d/${host}/client.cert and client.key`);
    await keep(certificates.path, host, { 'client.cert': client.certificate, 'client.key': client.key });
    assert.is(await read(host, options), undefined);
  }));

test('certificates that cannot be used are named by file', () =>
  withAuthority(async (authority) => {
    const server = served(await authority.sign('DNS:registry.test'));
    await withServer(server, async (host) => {
      await using certificates = await temporaryDirectory();
      const options = { certificateDirectory: certificates.path };
      await keep(certificates.path, host, { 'client.cert': authority.certificate });
      const lone = await failureOf(read(host, options));
      assert.is(lone.code, 'config');
      assert.match(lone.message, join(certificates.path, host, 'client.cert'));
      assert.match(lone.message, 'has no client.key beside it');
      await keep(certificates.path, host, { 'client.key': 'nonsense' });
      assert.match(
        (await failureOf(read(host, options))).message,
        `the certificates for ${host} cannot be used`,
      );
    });
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'ca.pem');
    await using missing = new Registries({ authorityFiles: [path] });
    assert.match((await failureOf(missing.check())).message, `cannot read certificates from ${path}`);
    await writeFile(path, 'nothing');
    assert.match((await failureOf(missing.check())).message, `${path} holds no certificate`);
  }));

test('a renewed authority is believed by a client that was there before', () =>
  withAuthority(async (authority) => {
    await withServer(served(await authority.sign('DNS:registry.test')), async (host) => {
      await using config = await dockerConfig({});
      await using certificates = await temporaryDirectory();
      const options = { configDirectory: config.path, lookup, certificateDirectory: certificates.path };
      await using registries = new Registries(options);
      const repository = registries.repository(parseReference(`${host}/a`));
      await failureOf(getManifest(repository, 'latest', signal));
      await keep(certificates.path, host, { 'ca.crt': authority.certificate });
      assert.ok(await getManifest(repository, 'latest', signal));
    });
  }));

test('a name of this machine means TLS where Docker keeps certificates for it', () =>
  withAuthority(async (authority) => {
    const pair = served(await authority.sign('IP:127.0.0.1'));
    await using server = await startServer((_, response) => void response.end(manifest));
    await using proxy = await startTlsProxy(server.host, pair);
    const host = `127.0.0.1:${proxy.port}`;
    await using certificates = await temporaryDirectory();
    await keep(certificates.path, host, { 'ca.crt': authority.certificate });
    assert.is(await read(host, { certificateDirectory: certificates.path }), manifest);
  }));

test('what a registry behind TLS names must speak TLS, and gets no client certificate of the registry', () =>
  withAuthority(async (authority) => {
    const pair = served(await authority.sign('DNS:registry.test,DNS:other.test'));
    const client = await authority.sign('DNS:client.test');
    await using content = await startServer((_, response) => void response.end(manifest));
    const subjects: boolean[] = [];
    const asking = { ...pair, ca: authority.certificate, requestCert: true, rejectUnauthorized: false };
    await using elsewhere = await startTlsProxy(content.host, asking, (socket) => {
      subjects.push(Object.keys(socket.getPeerCertificate()).length > 0);
    });
    for (const scheme of ['https', 'http']) {
      await using server = await startServer((_, response) => {
        response.writeHead(307, { location: `${scheme}://other.test:${elsewhere.port}/blob` }).end();
      });
      await using proxy = await startTlsProxy(server.host, pair);
      const host = `registry.test:${proxy.port}`;
      await using certificates = await temporaryDirectory();
      const shown = { 'client.cert': client.certificate, 'client.key': client.key };
      await keep(certificates.path, host, { 'ca.crt': authority.certificate, ...shown });
      const reading = read(host, { certificateDirectory: certificates.path });
      if (scheme === 'https') assert.is(await reading, manifest);
      else assert.match((await failureOf(reading)).message, 'without TLS');
    }
    assert.equal(subjects, [false]);
  }));

test.run();

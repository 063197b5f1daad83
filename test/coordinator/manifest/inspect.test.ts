/** Compared with the docker command of this machine, where it is 23 or later, for the same references. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { inspectReference } from '../../../coordinator/manifest/inspect.ts';
import { mediaTypeOf } from '../../../coordinator/manifest/document.ts';
import { Registries } from '../../../coordinator/registry/registries.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { failureOf } from '../../support/failure.ts';
import { pullDocument } from '../../support/sample-image.ts';
import { publishSample } from '../../support/sample-list.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const run = promisify(execFile);
const { signal } = new AbortController();

/** What docker prints, or undefined where there is none that is new enough. */
async function docker(reference: string, options: string[]): Promise<string | undefined> {
  await using directory = await temporaryDirectory();
  const env = { ...process.env, DOCKER_CONFIG: directory.path };
  const version = await run('docker', ['--version'], { env }).catch(() => undefined);
  if (version === undefined || Number(/version (\d+)/.exec(version.stdout)?.[1]) < 23) return undefined;
  return (await run('docker', ['manifest', 'inspect', '--insecure', ...options, reference], { env })).stdout;
}

test('prints what docker manifest inspect prints, byte for byte', async () => {
  for (const type of ['docker', 'oci'] as const) {
    await using registry = await startRegistry();
    await using registries = new Registries({ configDirectory: '/nonexistent' });
    await publishSample(registries, { host: registry.host, type });
    for (const name of ['app', 'app:latest', 'app-arm64v8:latest']) {
      const reference = `${registry.host}/${name}`;
      for (const verbose of [true, false]) {
        const expected = await docker(reference, verbose ? ['--verbose'] : []);
        const actual = await inspectReference(reference, { verbose }, registries, signal);
        if (expected !== undefined) assert.is(actual, expected);
      }
    }
  }
});

test('a list is an array of its children and an image an object, keys in docker order', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  await publishSample(registries, { host: registry.host, type: 'docker' });
  const inspect = async (name: string): Promise<unknown> =>
    JSON.parse(
      String(await inspectReference(`${registry.host}/${name}`, { verbose: true }, registries, signal)),
    );
  const list = await inspect('app');
  assert.ok(Array.isArray(list));
  assert.is(list.length, 2);
  assert.equal(Object.keys(list[1]), ['Ref', 'Descriptor', 'Raw', 'SchemaV2Manifest']);
  assert.equal(Object.keys(list[1].Descriptor), ['mediaType', 'digest', 'size', 'platform']);
  assert.equal(list[1].Descriptor.platform, { architecture: 'arm64', os: 'linux', variant: 'v8' });
  assert.is(list[1].Ref, `${registry.host}/app:latest@${list[1].Descriptor.digest}`);
  assert.not(Array.isArray(await inspect('app-amd64')));
});

test('gives the exact bytes, and not-found for what is not there', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  await publishSample(registries, { host: registry.host, type: 'oci' });
  const list = await pullDocument({ host: registry.host, repository: 'app' }, 'latest');
  assert.equal(
    await inspectReference(`${registry.host}/app`, { raw: true }, registries, signal),
    list?.bytes,
  );
  const error = await failureOf(inspectReference(`${registry.host}/app:no`, {}, registries, signal));
  assert.is(error.code, 'not-found');
  assert.match(error.message, `no such manifest: ${registry.host}/app:no`);
});

test('schema 1 is refused by its name', () => {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 1, name: 'old', fsLayers: [], signatures: [] }));
  const header = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
  assert.throws(
    () => mediaTypeOf(bytes, { header, name: 'host/old:1' }),
    /host\/old:1 is a schema 1 manifest/,
  );
});

test.run();

/** Lists that archfarm published, read by others: docker's command, skopeo, podman, and an engine. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { publish } from '../../coordinator/manifest/publish.ts';
import { readSource } from '../../coordinator/manifest/sources.ts';
import { Registries } from '../../coordinator/registry/registries.ts';
import { startEngine } from '../../scripts/rig/engine.ts';
import { startRegistry } from '../../scripts/rig/registry.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import { digestOf, pullDocument, pushBlob, pushDocument } from '../support/sample-image.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const run = promisify(execFile);
const registry = await startRegistry();
const scratch = await temporaryDirectory();
const env = { ...process.env, DOCKER_CONFIG: scratch.path };
await writeFile(`${scratch.path}/config.json`, '{}');
const types = ['docker', 'oci'] as const;
const architectures = ['amd64', 'arm64'] as const;

type ListType = (typeof types)[number];

const mediaTypes = {
  docker: {
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
    layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  },
  oci: {
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
    layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  },
};

const listSchema = v.object({
  mediaType: v.string(),
  manifests: v.array(v.object({ digest: v.string(), platform: v.object({ architecture: v.string() }) })),
});

/** An image of one file that names its architecture, which an engine can unpack. */
async function pushImage(type: ListType, architecture: string): Promise<string> {
  const archive = pack();
  archive.entry({ name: 'architecture' }, architecture);
  archive.finalize();
  const tar = await buffer(archive);
  const layer = gzipSync(tar);
  const variant = architecture === 'arm64' ? { variant: 'v8' } : {};
  const rootfs = { type: 'layers', diff_ids: [digestOf(tar)] };
  const config = Buffer.from(
    JSON.stringify({ os: 'linux', architecture, ...variant, config: { Cmd: ['/architecture'] }, rootfs }),
  );
  const repository = `${type}-${architecture}`;
  const target = { host: registry.host, repository };
  for (const blob of [config, layer]) await pushBlob(target, blob);
  const { manifest: mediaType, ...parts } = mediaTypes[type];
  const describe = (kind: string, blob: Buffer): object => {
    return { mediaType: kind, size: blob.length, digest: digestOf(blob) };
  };
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: describe(parts.config, config),
    layers: [describe(parts.layer, layer)],
  };
  await pushDocument(target, { mediaType, bytes: Buffer.from(JSON.stringify(manifest)) });
  return `${registry.host}/${repository}`;
}

const published = new Map<ListType, Buffer>();
{
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const { signal } = new AbortController();
  for (const type of types) {
    const sources = await Promise.all(
      architectures.map(async (architecture) => {
        const image = await pushImage(type, architecture);
        return readSource({ image }, { registries, attestations: 'keep', signal });
      }),
    );
    const children = sources.flat().map(({ image }) => image);
    await publish({ children, tags: [referenceOf(type)], type }, registries, { signal, onEvent: () => {} });
    const found = await pullDocument({ host: registry.host, repository: `list-${type}` }, 'latest');
    published.set(type, found?.bytes ?? Buffer.of());
  }
}

function referenceOf(type: ListType): string {
  return `${registry.host}/list-${type}:latest`;
}

function listOf(text: string | Buffer): v.InferOutput<typeof listSchema> {
  return v.parse(listSchema, JSON.parse(text.toString()));
}

test('docker manifest inspect reads both kinds', async () => {
  for (const type of types) {
    const { stdout } = await run('docker', ['manifest', 'inspect', '--insecure', referenceOf(type)], { env });
    const list = listOf(stdout);
    assert.equal(list, listOf(published.get(type) ?? ''));
    assert.equal(
      list.manifests.map(({ platform }) => platform.architecture),
      [...architectures],
    );
  }
});

test('skopeo reads their bytes and copies all that they name', async () => {
  for (const type of types) {
    const bytes = published.get(type) ?? Buffer.of();
    const source = `docker://${referenceOf(type)}`;
    const { stdout } = await run('skopeo', ['inspect', '--raw', '--tls-verify=false', source], { env });
    assert.is(stdout, bytes.toString());
    const directory = `${scratch.path}/copy-${type}`;
    await run('skopeo', ['copy', '--all', '--src-tls-verify=false', source, `dir:${directory}`], { env });
    assert.is((await readFile(`${directory}/manifest.json`)).toString(), bytes.toString());
    for (const { digest } of listOf(bytes).manifests) {
      const child = await readFile(`${directory}/${digest.replace('sha256:', '')}.manifest.json`);
      assert.is(digestOf(child), digest);
    }
  }
});

test('podman pulls the image of each platform', async () => {
  // It takes no longer paths.
  await using short = await scratchDirectory('podman');
  const storage = ['--root', `${short.path}/storage`, '--runroot', `${short.path}/run`];
  const podman = ['--storage-driver', 'vfs', ...storage];
  for (const type of types) {
    for (const architecture of architectures) {
      const pull = ['pull', '--quiet', '--tls-verify=false', '--os', 'linux', '--arch', architecture];
      const { stdout: id } = await run('podman', [...podman, ...pull, referenceOf(type)], { env });
      const inspect = ['image', 'inspect', '--format', '{{.Architecture}}', id.trim()];
      assert.is((await run('podman', [...podman, ...inspect], { env })).stdout.trim(), architecture);
    }
  }
});

test('an engine pulls the image of each platform', async () => {
  await using engine = await startEngine({ name: 'pulls' });
  const docker = async (...args: string[]): Promise<string> =>
    (await run('docker', ['-H', engine.host, ...args], { env })).stdout.trim();
  for (const type of types) {
    for (const architecture of architectures) {
      await docker('pull', '--quiet', '--platform', `linux/${architecture}`, referenceOf(type));
      const found = await docker('image', 'inspect', '--format', '{{.Architecture}}', referenceOf(type));
      assert.is(found, architecture);
    }
  }
});

test('what served ends', async () => {
  await scratch[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

test.run();

/** A registry as far as a list of two images needs one: everything can be mounted, and it remembers nothing but the list. */
import { createHash } from 'node:crypto';

const docker = 'application/vnd.docker';
const architectures = ['amd64', 'arm64'];

/** A file for `push from-spec`. `host` is where `startWarmRegistry` answers. */
export function listOf(host) {
  const images = architectures.map(
    (architecture) =>
      `  - image: ${host}/warm/${architecture}:1\n    platform:\n      os: linux\n      architecture: ${architecture}\n`,
  );
  return `image: ${host}/warm/up:1\nmanifests:\n${images.join('')}`;
}

/** Answers requests below /v2/. */
export function createWarmRegistry() {
  let list;
  return async (request, response) => {
    const chunks = await request.toArray();
    const { method, url } = request;
    const answer = (status, { body, digest, type = `${docker}.distribution.manifest.v2+json` } = {}) => {
      if (digest !== undefined) response.setHeader('docker-content-digest', digest);
      response.writeHead(status, { 'content-type': type });
      response.end(body);
    };
    if (method === 'POST') return answer(201);
    if (method === 'PUT') {
      const digest = digestOf(Buffer.concat(chunks));
      if (url.endsWith('/up/manifests/1')) list = digest;
      return answer(201, { digest });
    }
    if (method === 'HEAD') return answer(200, { digest: list });
    const [, architecture] = /\/warm\/(\w+)\/manifests\//.exec(url) ?? [];
    if (!architectures.includes(architecture)) return answer(404);
    const body = Buffer.from(JSON.stringify(manifestFor(architecture)));
    answer(200, { body, digest: digestOf(body) });
  };
}

function manifestFor(architecture) {
  const blob = (name, type) => ({
    mediaType: `${docker}.${type}`,
    size: 1,
    digest: digestOf(`${architecture} ${name}`),
  });
  return {
    schemaVersion: 2,
    mediaType: `${docker}.distribution.manifest.v2+json`,
    config: blob('config', 'container.image.v1+json'),
    layers: [blob('layer', 'image.rootfs.diff.tar.gzip')],
  };
}

function digestOf(bytes) {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Registries that answer with what is no image, or send us elsewhere: the list is published, or there is a clear error and no tag. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import { parseImage, type ImageDocument } from '../../../coordinator/manifest/document.ts';
import type { Hook, Rewrite } from '../../support/fault-proxy.ts';
import { hostileRegistry, type Case, type Places } from '../../support/hostile-registry.ts';
import { digestOf } from '../../support/sample-image.ts';

type Headers = IncomingMessage['headers'];
type Answer = (response: ServerResponse, places: Places, request: IncomingMessage) => void;

/** In the place of the registry, to requests like this one: `GET /v2/app/manifests/latest`. */
function instead(which: RegExp, answer: Answer): Case['hook'] {
  return (places) => (request, response) => {
    if (!which.test(`${request.method} ${request.url}`)) return false;
    request.resume();
    answer(response, places, request);
    return true;
  };
}

/** After the registry has done what it was asked. */
function after(which: RegExp, change: (headers: Headers, places: Places) => Headers): Case['hook'] {
  return (places) => {
    const rewrite: Rewrite = async (answer, response) => {
      const body = await buffer(answer);
      response.writeHead(answer.statusCode ?? 502, change(answer.headers, places)).end(body);
    };
    const hook: Hook = (request) => which.test(`${request.method} ${request.url}`) && rewrite;
    return hook;
  };
}

function says(status: number, headers: Headers = {}, body: string | Buffer = ''): Answer {
  return (response) => response.writeHead(status, headers).end(body);
}

const source = /^GET \/v2\/app\/manifests\/latest/;
const docker = 'application/vnd.docker.distribution.manifest.v2+json';
const index = 'application/vnd.oci.image.index.v1+json';
const foreign = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
const digest = `sha256:${'0'.repeat(64)}`;

/** The image as it is, but for what is changed in its document. */
function changed(change: (document: ImageDocument) => object): Answer {
  return (response, { image }) => {
    const document = parseImage(image, 'the sample');
    response.writeHead(200, { 'content-type': docker }).end(JSON.stringify(change(document)));
  };
}

function document(answer: unknown, type = docker): Answer {
  return says(200, { 'content-type': type }, JSON.stringify(answer));
}

function to(location: (places: Places) => string, status = 307): Answer {
  return (response, places) => response.writeHead(status, { location: location(places) }).end();
}

/** A list with one entry, which is in the registry as it says. */
function listOf(
  entry: (bytes: Buffer) => unknown,
  child: Readonly<Record<string, unknown>> & { readonly mediaType: string },
): Case['hook'] {
  const bytes = Buffer.from(JSON.stringify(child));
  const list = { schemaVersion: 2, mediaType: index, manifests: [entry(bytes)] };
  return (places) => {
    const first = instead(source, document(list, index))(places);
    const second = instead(
      new RegExp(`^GET /v2/app/manifests/${digestOf(bytes)}`),
      says(200, { 'content-type': child.mediaType }, bytes),
    )(places);
    return (request, response) => (first(request, response) === true ? true : second(request, response));
  };
}

const unusable = /is not a usable manifest: /;
const nested = { schemaVersion: 2, mediaType: index, manifests: [] };
const upload = /^POST \/v2\/target-\d+\/blobs\/uploads/;

const cases: Readonly<Record<string, Case>> = {
  // What it calls an image.
  'a page': {
    hook: instead(source, says(200, { 'content-type': 'text/html' }, '<html>\u001b[2J')),
    says: unusable,
  },
  'JSON that breaks off': { hook: instead(source, says(200, {}, '{"schemaVersion":2,')), says: unusable },
  'nothing at all': { hook: instead(source, says(200)), says: unusable },
  'a list of numbers': { hook: instead(source, document([1, 2])), says: unusable },
  'a document as deep as it is long': {
    hook: instead(source, says(200, {}, `{"schemaVersion":2,"x":${'['.repeat(1e6)}${']'.repeat(1e6)}}`)),
    says: /nested too deeply/,
  },
  'a document that is too large': {
    hook: instead(source, says(200, {}, ' '.repeat(4 * 1024 * 1024 + 1))),
    says: /larger than 4194304 bytes/,
  },
  'a document without end': {
    hook: instead(source, (response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(' '.repeat(65_536)));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    }),
    says: /larger than 4194304 bytes/,
  },
  'a document that swells when it is unpacked': {
    hook: instead(
      source,
      says(200, { 'content-encoding': 'gzip' }, gzipSync(Buffer.alloc(64 * 1024 * 1024, ' '))),
    ),
    says: unusable,
  },
  'another type than it has': {
    hook: after(source, (headers) => ({ ...headers, 'content-type': index })),
    says: /it calls itself .*, its registry calls it /,
  },
  'another digest than it has': {
    hook: after(source, (headers) => ({ ...headers, 'docker-content-digest': digest })),
    says: /gave other content/,
  },
  'a digest that is none': {
    hook: after(source, (headers) => ({ ...headers, 'docker-content-digest': 'sha512:../../etc' })),
  },
  'schema 1': {
    hook: instead(source, document({ schemaVersion: 1, fsLayers: [] })),
    says: /schema 1 manifest/,
  },
  'image and list in one': {
    hook: instead(
      source,
      changed((one) => ({ ...one, manifests: [] })),
    ),
    says: unusable,
  },
  'a type that moves the cursor': {
    hook: instead(
      source,
      changed((one) => ({ ...one, mediaType: '\u001b[2Jdocker' })),
    ),
    says: /control characters/,
  },
  'a type without end': {
    hook: instead(
      source,
      changed((one) => ({ ...one, mediaType: 'x'.repeat(1e6) })),
    ),
    says: /is too long/,
  },
  'a type that nobody knows': {
    hook: instead(source, (response, { image }) => {
      const body = image.bytes.toString().replace(docker, 'application/vnd.example+json');
      response.writeHead(200).end(body);
    }),
    says: /it is application\/vnd\.example\+json, not an image/,
  },
  'a digest that is a path': {
    hook: instead(
      source,
      changed((one) => ({ ...one, config: { ...one.config, digest: '../../../etc/passwd' } })),
    ),
    says: /config\.digest: not a sha256 digest/,
  },
  ...Object.fromEntries(
    [-1, 1.5, 1e300, '12', null].map((size): [string, Case] => [
      `a size of ${JSON.stringify(size)}`,
      {
        hook: instead(
          source,
          changed((one) => ({ ...one, config: { ...one.config, size } })),
        ),
        says: /config\.size: /,
      },
    ]),
  ),
  'layers that it does not have': {
    hook: instead(
      source,
      changed((one) => ({ ...one, layers: [{ ...one.layers[0], digest }] })),
    ),
    says: /404 Not Found/,
  },
  'a layer that is said to be at a stranger': {
    hook: (places) =>
      instead(
        source,
        changed((one) => ({
          ...one,
          layers: [{ ...one.layers[0], mediaType: foreign, urls: [`http://${places.stranger}/layer`] }],
        })),
      )(places),
    says: /MANIFEST_BLOB_UNKNOWN|MANIFEST_INVALID/,
  },
  'keys that mean something to JavaScript': {
    hook: instead(
      source,
      says(200, { 'content-type': docker }, '{"schemaVersion":2,"__proto__":{"config":1},"constructor":1}'),
    ),
    says: unusable,
  },
  // Lists.
  'a list in a list': {
    hook: listOf((bytes) => ({ mediaType: index, digest: digestOf(bytes), size: bytes.length }), nested),
    says: /it is application\/vnd\.oci\.image\.index\.v1\+json, not an image/,
  },
  'a list that lies about the size of its image': {
    hook: listOf((bytes) => ({ mediaType: docker, digest: digestOf(bytes), size: 1 }), {
      schemaVersion: 2,
      mediaType: docker,
      config: {},
      layers: [],
    }),
    says: /describes sha256:\w+ as what it is not/,
  },
  'a list of nothing': {
    hook: instead(source, document(nested, index)),
    says: /app:latest has no image for linux\/amd64/,
    status: 1,
  },
  // Content and where it is.
  'an image of another host that it sends us to': {
    hook: instead(
      source,
      to(({ stranger }) => `http://${stranger}/image`),
    ),
    says: unusable,
    asksStranger: true,
  },
  'the metadata service': {
    hook: instead(
      source,
      to(() => 'http://169.254.169.254/latest/meta-data/'),
    ),
    says: /points at 169\.254\.169\.254, a link-local address/,
  },
  'a name that is the metadata service': {
    hook: instead(
      source,
      to(() => 'http://metadata.farm.test/'),
    ),
    says: /points at metadata\.farm\.test, a link-local address/,
  },
  'a file': {
    hook: instead(
      source,
      to(() => 'file:///etc/passwd'),
    ),
    says: /without TLS/,
  },
  'a place that is no URL': {
    hook: instead(
      source,
      to(() => 'http://['),
    ),
    says: /a Location that is not a URL/,
  },
  'itself, for ever': {
    hook: instead(
      source,
      to(() => '/v2/app/manifests/latest'),
    ),
    says: /too many redirects/,
  },
  'plain http, where it speaks TLS': {
    hook: instead(
      source,
      to(({ stranger }) => `http://${stranger}/image`),
    ),
    tls: true,
    says: /a connection without TLS/,
  },
  // Uploads.
  'an upload at a stranger': {
    hook: instead(
      upload,
      to(({ stranger }) => `http://${stranger}/upload`, 202),
    ),
    says: /MANIFEST_BLOB_UNKNOWN/,
    asksStranger: true,
  },
  'an upload at the metadata service': {
    hook: instead(
      upload,
      to(() => 'http://169.254.169.254/upload', 202),
    ),
    says: /a link-local address/,
  },
  'an upload at no place': { hook: instead(upload, says(202)), says: /without a Location/ },
  'an upload that is sent on': {
    hook: instead(
      upload,
      to(({ stranger }) => `http://${stranger}/upload`),
    ),
    says: /307 Temporary Redirect/,
  },
  'a mount that was none': { hook: instead(/[?&]mount=/, says(201)) },
  'an error with a picture': {
    hook: instead(
      upload,
      says(400, {}, `{"errors":[{"code":"\u001b[31mX","message":"${'y'.repeat(99_999)}"}]}`),
    ),
    says: /400 Bad Request: .*y/,
  },
  // Manifests and tags.
  'an image stored as another': {
    hook: after(/^PUT \/v2\/target-\d+\/manifests\/sha256/, (headers) => ({
      ...headers,
      'docker-content-digest': digest,
    })),
    says: /the registry stored sha256:0+, not /,
  },
  'a tag that it did not move': {
    hook: instead(/^PUT \/v2\/target-\d+\/manifests\/latest/, says(201)),
    says: /was written as sha256:\w+ and reads as missing/,
  },
  'a tag sent on to a stranger': {
    hook: instead(
      /^PUT \/v2\/target-\d+\/manifests\/latest/,
      to(({ stranger }) => `http://${stranger}/`),
    ),
    says: /307 Temporary Redirect/,
  },
};

const registry = await hostileRegistry();

for (const [name, one] of Object.entries(cases))
  test(`a registry answers with ${name} [R2, R3, R6]`, () => registry.run(one));

test('what served ends', async () => {
  await registry[Symbol.asyncDispose]();
});

test.run();

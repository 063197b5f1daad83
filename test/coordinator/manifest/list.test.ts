import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { assembleList, listChildren } from '../../../coordinator/manifest/list.ts';
import type { VerifiedImage } from '../../../coordinator/farm/events.ts';

function child(kind: 'docker' | 'oci', platform: VerifiedImage['platform'], digit: string): VerifiedImage {
  const family = kind === 'docker' ? 'docker.distribution.manifest.v2' : 'oci.image.manifest.v1';
  const descriptor = {
    mediaType: `application/vnd.${family}+json`,
    digest: `sha256:${digit.repeat(64)}`,
    size: 528,
  };
  return { repository: 'host/a', descriptor, config: descriptor.digest, platform, blobs: [] };
}

test('a Docker list has the bytes that docker manifest push would write', () => {
  const list = assembleList([
    child('docker', { os: 'linux', architecture: 'amd64' }, 'a'),
    child(
      'docker',
      { os: 'windows', architecture: 'arm64', variant: 'v8', osVersion: '10.0', osFeatures: ['x'] },
      'b',
    ),
  ]);
  assert.is(list.mediaType, 'application/vnd.docker.distribution.manifest.list.v2+json');
  assert.is(
    list.bytes.toString(),
    `{
   "schemaVersion": 2,
   "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
   "manifests": [
      {
         "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
         "size": 528,
         "digest": "sha256:${'a'.repeat(64)}",
         "platform": {
            "architecture": "amd64",
            "os": "linux"
         }
      },
      {
         "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
         "size": 528,
         "digest": "sha256:${'b'.repeat(64)}",
         "platform": {
            "architecture": "arm64",
            "os": "windows",
            "os.version": "10.0",
            "os.features": [
               "x"
            ],
            "variant": "v8"
         }
      }
   ]
}`,
  );
});

test('one OCI child makes it an OCI index, in the order given', () => {
  const docker = child('docker', { os: 'linux', architecture: 'amd64' }, 'a');
  const oci = child('oci', { os: 'linux', architecture: 's390x' }, 'b');
  const list = assembleList([oci, docker]);
  assert.is(list.mediaType, 'application/vnd.oci.image.index.v1+json');
  const text = list.bytes.toString();
  assert.match(text, '{\n  "schemaVersion": 2,\n  "mediaType": "application/vnd.oci.image.index.v1+json",');
  assert.ok(text.indexOf('s390x') < text.indexOf('amd64'));
  assert.not.equal(list.digest, assembleList([docker, oci]).digest);
});

test('annotations make it an OCI index, on the list and on its images, sorted by name', () => {
  const children = [
    child('docker', { os: 'linux', architecture: 'amd64' }, 'a'),
    child('docker', { os: 'linux', architecture: 'arm64', variant: 'v8' }, 'b'),
  ];
  const annotations = {
    index: { z: '1', a: '2' },
    everyPlatform: { each: 'one', same: 'every' },
    platforms: { 'linux/arm64/v8': { same: 'arm64' } },
  };
  const list = assembleList(listChildren(children, annotations), { annotations: annotations.index });
  assert.is(list.mediaType, 'application/vnd.oci.image.index.v1+json');
  const document: unknown = JSON.parse(list.bytes.toString());
  const { manifests, ...rest } = v.parse(
    v.looseObject({ manifests: v.array(v.looseObject({ annotations: v.unknown() })) }),
    document,
  );
  assert.equal(Object.keys(rest), ['schemaVersion', 'mediaType', 'annotations']);
  assert.is(JSON.stringify(rest['annotations']), '{"a":"2","z":"1"}');
  assert.equal(
    manifests.map((entry) => entry.annotations),
    [
      { each: 'one', same: 'every' },
      { each: 'one', same: 'arm64' },
    ],
  );
  assert.match(list.bytes.toString(), /"size": 528,\s+"annotations": \{[^}]*\},\s+"platform"/);
  const { index } = annotations;
  assert.throws(() => assembleList(children, { type: 'docker', annotations: index }), /takes no annotations/);
});

test('the type of the list can be chosen', () => {
  const docker = child('docker', { os: 'linux', architecture: 'amd64' }, 'a');
  const oci = child('oci', { os: 'linux', architecture: 's390x' }, 'b');
  const types = [
    assembleList([docker, oci], { type: 'oci' }),
    assembleList([docker], { type: 'docker' }),
  ].map(({ mediaType }) => mediaType);
  assert.equal(types, [
    'application/vnd.oci.image.index.v1+json',
    'application/vnd.docker.distribution.manifest.list.v2+json',
  ]);
  assert.throws(
    () => assembleList([docker, oci], { type: 'docker' }),
    /^sha256:b{64}, for linux\/s390x, is an OCI image, and a Docker manifest list holds none/,
  );
});

test.run();

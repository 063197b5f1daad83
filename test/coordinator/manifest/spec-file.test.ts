import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseSpec } from '../../../coordinator/manifest/spec-file.ts';
import { ArchfarmError } from '../../../shared/errors.ts';

function errorOf(text: string): string {
  try {
    parseSpec('s.yaml', text);
  } catch (error) {
    if (!(error instanceof ArchfarmError)) throw error;
    assert.is(error.code, 'config');
    return error.hint === undefined ? error.message : `${error.message}\n${error.hint}`;
  }
  throw new Error('it was taken');
}

test('reads what manifest-tool reads', () => {
  const spec = parseSpec(
    's.yaml',
    `image: host/onap/app:1.0.0
tags: ["1.0", 1.10, latest]
annotations:
  org.example.price: $5
manifests:
  - image: host/onap/app-amd64@sha256:${'a'.repeat(64)}
    platform: {architecture: amd64, os: linux}
  - image: other/app-arm64v8:1.0.0
`,
  );
  assert.equal(spec.names, [
    'host/onap/app:1.0.0',
    'docker.io/host/onap/app:1.0',
    'docker.io/host/onap/app:1.10',
    'docker.io/host/onap/app:latest',
  ]);
  assert.equal(spec.annotations, { 'org.example.price': '$5' });
  assert.equal(
    spec.sources.map(({ image }) => image),
    [`host/onap/app-amd64@sha256:${'a'.repeat(64)}`, 'other/app-arm64v8:1.0.0'],
  );
  assert.is(spec.sources[0]?.platform?.architecture, 'amd64');
  assert.is(spec.sources[1]?.platform, undefined);
  assert.equal(spec.warnings, []);
});

test('every spelling of the version and the features of an os means the same', () => {
  const platform = (version: string, features: string): unknown =>
    parseSpec(
      's.yaml',
      `image: app
manifests:
  - image: app-windows
    platform:
      os: windows
      architecture: amd64
      ${version}: 10.0.17763.2565
      ${features}: [win32k]
`,
    ).sources[0]?.platform;
  const expected = {
    os: 'windows',
    architecture: 'amd64',
    variant: undefined,
    osVersion: '10.0.17763.2565',
    osFeatures: ['win32k'],
  };
  for (const version of ['osversion', 'os.version', 'os_version'])
    for (const features of ['osfeatures', 'os.features', 'os_features'])
      assert.equal(platform(version, features), expected, `${version} ${features}`);
});

test('features, which version 1 had, are left out with a warning', () => {
  const { warnings, sources } = parseSpec(
    's.yaml',
    'image: app\nmanifests:\n  - image: a\n    platform: {os: linux, architecture: amd64, features: [sse]}\n',
  );
  assert.equal(warnings, [
    's.yaml:4:48: manifests.0.platform.features: features are in no list any more, and are left out',
  ]);
  assert.not('features' in (sources[0]?.platform ?? {}));
});

test('what is wrong is said with its line, and with what was probably meant', () => {
  const member = 'image: app\nmanifests:\n  - image: a\n    platform:\n      ';
  const golden: [text: string, error: string][] = [
    ['imgae: app\n', 's.yaml:1:1: imgae: unknown key\ndid you mean image?'],
    ['manifests: [{image: a}]\n', 's.yaml:1:1: image is missing'],
    ['image: app\n', 's.yaml:1:1: no manifests are given'],
    ['image: app\nmanifests: []\n', 's.yaml:2:1: manifests: no manifests are given'],
    ['image: app\nmanifests:\n  - platform: {os: linux}\n', 's.yaml:3:5: manifests.0: image is missing'],
    [`${member}archtecture: arm64\n`, 's.yaml:5:7: manifests.0.platform.archtecture: unknown key\ndid you mean architecture?'],
    [`${member}os: linux\n      architecture: armv7\n`, 's.yaml:4:5: manifests.0.platform: unknown platform "linux/armv7"\ndid you mean linux/arm/v7?'],
    [`${member}os: linux\n      architecture: x86_64\n`, 's.yaml:4:5: manifests.0.platform: unknown platform "linux/x86_64"\ndid you mean linux/amd64?'],
    [`${member}os: windows\n      architecture: s390x\n`, 's.yaml:4:5: manifests.0.platform: unknown platform "windows/s390x"\nknown for windows: 386, amd64, arm, arm64'],
    [`${member}osversion: 1\n      os.version: 2\n`, 's.yaml:6:7: manifests.0.platform.os.version: is given twice'],
    ['image: app\ntags: [a b]\nmanifests: [{image: a}]\n', 's.yaml:2:8: tags.0: invalid image reference "docker.io/library/app:a b"\nthe form is [HOST[:PORT]/]NAME[:TAG][@sha256:DIGEST]'],
    ['image: App\nmanifests: [{image: a}]\n', 's.yaml:1:1: image: invalid image reference "App"\nrepository names are lower case'],
  ]; // prettier-ignore
  for (const [text, error] of golden) assert.is(errorOf(text), error);
  assert.match(errorOf('image: [\n'), /^s\.yaml:\d+:\d+: /);
});

test.run();

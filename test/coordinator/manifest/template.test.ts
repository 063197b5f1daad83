import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sourcesOf } from '../../../coordinator/manifest/template.ts';

test('a template names one image for each platform', () => {
  const sources = sourcesOf('host:5000/foo/bar-OS-ARCHVARIANT:v1', ['linux/amd64', 'linux/arm/v7']);
  assert.equal(
    sources.map(({ image }) => image),
    ['host:5000/foo/bar-linux-amd64:v1', 'host:5000/foo/bar-linux-armv7:v1'],
  );
  assert.equal(sources[1]?.platform, { os: 'linux', architecture: 'arm', variant: 'v7' });
});

test('platforms are written as they will be published', () => {
  for (const [text, error] of [
    ['linux/x86_64', /unknown platform "linux\/x86_64"/],
    ['linux/arm/v7/x', /unknown platform/],
    ['', /unknown platform/],
    ['arm64v8', /unknown platform "linux\/arm64v8"/],
  ] as const)
    assert.throws(() => sourcesOf('bar-ARCH', [text]), error, text);
  assert.throws(() => sourcesOf('bar-ARCH', []), /no platforms/);
});

test.run();

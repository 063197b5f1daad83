import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { digestOf } from '../../../coordinator/registry/digest.ts';
import { ManifestCache } from '../../../coordinator/registry/manifest-cache.ts';
import type { Manifest } from '../../../coordinator/manifest/document.ts';

function manifest(bytes: Buffer): Manifest {
  return { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: digestOf(bytes), bytes };
}

test('a cached manifest holds its own bytes alone, not the pool that they were cut from', () => {
  const cache = new ManifestCache();
  const pooled = manifest(Buffer.from('{"schemaVersion":2}'));
  assert.ok(pooled.bytes.buffer.byteLength > pooled.bytes.length);
  cache.add(pooled);
  const cached = cache.get(pooled.digest);
  assert.equal(cached, pooled);
  assert.is(cached?.bytes.buffer.byteLength, pooled.bytes.length);
});

test('the oldest go when there are too many bytes or too many manifests', () => {
  for (const [count, size] of [
    [20, 1024 * 1024],
    [40_000, 20],
  ] as const) {
    const cache = new ManifestCache();
    const digests = Array.from({ length: count }, (_, n) => {
      const each = manifest(Buffer.alloc(size, `${n} `));
      cache.add(each);
      return each.digest;
    });
    assert.is(cache.get(digests[0] ?? ''), undefined);
    assert.ok(cache.get(digests.at(-1) ?? ''));
  }
});

test.run();

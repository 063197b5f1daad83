import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkCacheTarget, readCacheSource } from '../../../coordinator/project/cache-references.ts';

test('a cache comes from an image under a tag', () => {
  assert.is(readCacheSource('onap/py-app'), 'docker.io/onap/py-app:latest');
  assert.is(readCacheSource('type=registry,ref=reg.example/app:1'), 'reg.example/app:1');
  for (const text of ['type=gha', 'type=local,src=/cache', 'type=registry', 'type=registry,ref=a,x=1']) {
    assert.throws(() => readCacheSource(text), /--cache-from .* from images only/);
  }
  assert.throws(() => readCacheSource(`app@sha256:${'0'.repeat(64)}`), /under a tag/);
});

test('a cache goes into the image and nowhere else', () => {
  checkCacheTarget('inline');
  checkCacheTarget('type=inline');
  assert.throws(() => checkCacheTarget('type=registry,ref=app'), /into the image only/);
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { taskOf } from '../../../coordinator/farm/task.ts';
import { arm64, sampleSpec } from '../../support/farm-fixtures.ts';

test('a task takes its cache from the images of its platform, and leaves one in its own on demand', () => {
  const cacheFrom = ['reg.example/onap/py-app:main'];
  const spec = sampleSpec({ cacheFrom, inlineCache: true, args: { A: 'b' } });
  const task = taskOf(spec, { build: 'b1', platform: arm64 });
  assert.equal(task.cacheFrom, ['reg.example/onap/py-app-arm64v8:main']);
  assert.equal(task.args, { A: 'b', BUILDKIT_INLINE_CACHE: '1' });
  const byTag = taskOf({ ...spec, suffix: 'tag', inlineCache: false }, { build: 'b1', platform: arm64 });
  assert.equal(byTag.cacheFrom, ['reg.example/onap/py-app:main-arm64v8']);
  assert.equal(byTag.args, { A: 'b' });
});

test.run();

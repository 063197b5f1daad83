import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { childTag, requireChildTags, specTrees, taskOf } from '../../../coordinator/farm/task.ts';
import { parsePlatform } from '../../../shared/platform.ts';
import { amd64, arm64, digestOf, sampleSpec } from '../../support/farm-fixtures.ts';

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

test('the tag of an image beside a final one has 128 characters at most', () => {
  const fits = `reg.example/app:${'v'.repeat(120)}`;
  const long = `${fits}v`;
  const platform = parsePlatform(arm64);
  assert.is(childTag('reg.example/app', platform), 'latest-arm64v8');
  assert.is(childTag(fits, platform).length, 128);
  assert.throws(() => childTag(long, platform), /has at most 128 characters, this one has 129/);
  // Its suffix is shorter.
  requireChildTags({ tags: [fits, long], childTags: true }, [amd64]);
  assert.throws(() => requireChildTags({ tags: [fits, long], childTags: true }, [amd64, arm64]));
  requireChildTags({ tags: [long], childTags: false }, [arm64]);
});

test('a task has what is different on its platform, and a build all Dockerfiles', () => {
  const dockerfile = { root: digestOf('arm'), name: 'Arm' };
  const spec = sampleSpec({
    args: { A: 'all', B: 'all' },
    labels: { l: 'all' },
    target: 'final',
    inlineCache: true,
    perPlatform: { [arm64]: { args: { A: 'arm' }, labels: { m: 'arm' }, target: 'small', dockerfile } },
  });
  const arm = taskOf(spec, { build: 'b1', platform: arm64 });
  assert.equal(arm.args, { A: 'arm', B: 'all', BUILDKIT_INLINE_CACHE: '1' });
  assert.equal(arm.labels, { l: 'all', m: 'arm' });
  assert.is(arm.target, 'small');
  assert.equal(arm.dockerfile, dockerfile);
  const amd = taskOf(spec, { build: 'b1', platform: amd64 });
  assert.equal(amd.args, { A: 'all', B: 'all', BUILDKIT_INLINE_CACHE: '1' });
  assert.equal(amd.labels, { l: 'all' });
  assert.is(amd.target, 'final');
  assert.equal(amd.dockerfile, spec.dockerfile);
  assert.equal(
    specTrees(spec).map(({ root }) => root),
    [spec.context.root, spec.dockerfile.root, dockerfile.root],
  );
});

test.run();

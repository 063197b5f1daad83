import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { withTold, type ListedBuild } from '../../../coordinator/dashboard/builds/listed-builds.ts';

function listed(build: string, status: ListedBuild['status'] = 'succeeded'): ListedBuild {
  return { build, name: 'app', status, created: 0, client: '', tags: [], platforms: [] };
}

function shown(read: readonly string[], told: readonly ListedBuild[]): string[] {
  const merged = withTold(
    read.map((build) => listed(build)),
    new Map(told.map((build) => [build.build, build])),
    ({ status }) => status !== 'cancelled',
  );
  return merged.map(({ build, status }) => `${build} ${status}`);
}

test('what the farm tells takes its place among the builds that were read, each of them once', () => {
  assert.equal(
    shown(['d', 'b', 'a'], [listed('c', 'failed'), listed('e', 'running'), listed('b', 'failed')]),
    ['e running', 'd succeeded', 'c failed', 'b failed', 'a succeeded'],
  );
  assert.equal(shown([], [listed('a'), listed('b')]), ['b succeeded', 'a succeeded']);
  assert.equal(shown(['b'], [listed('a')]), ['b succeeded', 'a succeeded']);
});

test('a build that is no more what was looked for goes', () => {
  assert.equal(shown(['b', 'a'], [listed('b', 'cancelled'), listed('c', 'cancelled')]), ['a succeeded']);
});

test.run();

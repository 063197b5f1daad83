/** What registries and other builds have done since decides what a retry takes over, and which tags it moves. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Remains } from '../../../coordinator/farm/events.ts';
import { Registries } from '../../../coordinator/registry/registries.ts';
import { FollowUps, type FarmHistory } from '../../../coordinator/server/follow-ups.ts';
import { resultOf } from '../../../coordinator/farm/result.ts';
import { newBuild } from '../../../coordinator/farm/build-state.ts';
import type { BuildResult } from '../../../shared/progress.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { failureOf } from '../../support/failure.ts';
import { amd64, arm64, pushedBy, sampleSpec, verifiedFrom } from '../../support/farm-fixtures.ts';
import { pushSample } from '../../support/sample-image.ts';

const { signal } = new AbortController();
const tags = ['localhost:5000/onap/py-app:latest', 'localhost:5000/onap/py-app:1'];
const spec = sampleSpec({ tags });

function remainsOf(sequence: number, change: Partial<Remains> = {}): Remains {
  return { sequence, spec, images: {}, ...change };
}

function failed(id: string): BuildResult {
  const build = newBuild({ id, sequence: 1, spec, client: 'test' }, 0);
  return { ...resultOf(build, { at: 1 }), status: 'failed' };
}

/** A farm that has archived these builds. */
function history(ended: Readonly<Record<string, Remains>>, change: Partial<FarmHistory> = {}): FarmHistory {
  return {
    remains: (id) => Promise.resolve(ended[id]),
    publisher: () => Promise.resolve(undefined),
    origin: () => undefined,
    submitted: () => [],
    ...change,
  };
}

test('a retry takes over what is still in its registry, and says what is gone', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const target = { host: registry.host, repository: 'app-amd64' };
  const sample = await pushSample(target, { platform: { os: 'linux', architecture: 'amd64' } });
  const image = (platform: string, digest: string) => {
    const pushed = pushedBy({ build: 'one', platform, number: 1 });
    const verified = verifiedFrom({ build: 'one', platform, number: 1 }, { ...pushed, digest });
    return { ...verified, repository: `${registry.host}/app-amd64` };
  };
  const images = { [amd64]: image(amd64, sample.digest), [arm64]: image(arm64, `sha256:${'1'.repeat(64)}`) };
  const followUps = new FollowUps({ farm: history({ one: remainsOf(1, { images }) }), registries });
  const followUp = await followUps.retry(failed('one'), signal);
  assert.equal(Object.keys(followUp.carried ?? {}), [amd64]);
  assert.equal(followUp.warnings, [`the image for ${arm64} is gone from its registry: it is built again`]);
});

test('tags of newer builds are left alone, those that are still to come with them', async () => {
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const ended = { one: remainsOf(1), two: remainsOf(2) };
  const [latest = '', numbered = ''] = tags;
  const publisher = (tag: string) => Promise.resolve(tag === latest ? 'two' : undefined);
  const farm = history(ended, { publisher });
  const followUp = await new FollowUps({ farm, registries }).retry(failed('one'), signal);
  assert.equal(followUp.spec.tags, [numbered]);
  assert.match(followUp.warnings.join(), /the newer build two has published .*:latest: it is left as it is/);

  const spelling = numbered.replace('localhost', 'LocalHost');
  const open = { id: 'three', sequence: 3, client: 'test', spec: sampleSpec({ tags: [spelling] }) };
  const busy = history(ended, { publisher, submitted: () => [open] });
  const error = await failureOf(new FollowUps({ farm: busy, registries }).retry(failed('one'), signal));
  assert.is(error.code, 'usage');
  assert.match(
    error.message,
    /build one cannot be retried: .* build two .*, build three is about to publish/,
  );
  // One that comes while registries are asked is noticed in time.
  const late = history(ended, { submitted: () => came });
  let came: readonly (typeof open)[] = [];
  const lateFollowUps = new FollowUps({ farm: late, registries });
  const checked = await lateFollowUps.retry(failed('one'), signal);
  lateFollowUps.requireNewest(checked);
  came = [open];
  assert.throws(() => lateFollowUps.requireNewest(checked), /build three is about to publish/);
  assert.equal((await lateFollowUps.again(checked)).spec.tags, [latest]);
  // The newer one itself is not in its own way, and neither is an older one.
  assert.equal((await new FollowUps({ farm, registries }).retry(failed('two'), signal)).spec.tags, tags);
});

test('an amendment remembers which list it adds to, and one that is tried again adds to that of now', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const target = { host: registry.host, repository: 'app' };
  const platform = { os: 'linux', architecture: 'amd64' };
  const base = (await pushSample({ ...target, tag: '1' }, { platform })).digest;
  const own = sampleSpec({ tags: [`${registry.host}/app:1`] });
  const origin = { type: 'amend', build: 'one', base } as const;
  const ended = { one: remainsOf(1, { spec: own }), two: remainsOf(2, { spec: own, origin }) };
  const followUps = new FollowUps({ farm: history(ended), registries });
  const succeeded: BuildResult = { ...failed('one'), status: 'succeeded' };
  const asked = { platforms: [arm64], allowEmulation: false };
  assert.equal((await followUps.amend(succeeded, asked, signal)).origin, origin);
  const { digest } = await pushSample({ ...target, tag: '1' }, { platform });
  assert.equal((await followUps.retry(failed('two'), signal)).origin, { ...origin, base: digest });
});

test.run();

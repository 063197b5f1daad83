/** Platforms that a tag would lose, builds of Windows among them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { comparedPlatform, lostPlatforms } from '../../../coordinator/manifest/platform-loss.ts';
import { pushList } from '../../../coordinator/manifest/push-list.ts';
import { Registries } from '../../../coordinator/registry/registries.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { failureOf } from '../../support/failure.ts';
import { pushSample } from '../../support/sample-image.ts';

const { signal } = new AbortController();
const older = '10.0.17763.2114';
const newer = '10.0.20348.1';

test('a platform is compared with its build of Windows, in whatever revision', () => {
  const windows = { os: 'windows', architecture: 'amd64' };
  assert.is(comparedPlatform(windows, older), 'windows(10.0.17763)/amd64');
  assert.is(comparedPlatform(windows, undefined), 'windows/amd64');
  assert.is(comparedPlatform(windows, 'nonsense'), 'windows/amd64');
  assert.is(comparedPlatform({ os: 'linux', architecture: 'arm64' }, '5.10.0'), 'linux/arm64/v8');
});

test('one build of Windows does not stand in for another, and one that is not known does', () => {
  const [one, two, any] = ['windows(10.0.17763)/amd64', 'windows(10.0.20348)/amd64', 'windows/amd64'];
  assert.equal(lostPlatforms([one, two, one], [two]), [one]);
  assert.equal(lostPlatforms([one, two], [one, two, 'linux/amd64']), []);
  assert.equal(lostPlatforms([one, two], [any]), []);
  assert.equal(lostPlatforms([any], [one]), []);
  assert.equal(lostPlatforms([one, 'linux/amd64'], ['windows/arm64/v8', 'linux/amd64']), [one]);
});

test('a list of Windows images does not lose a build of Windows, but by force', async () => {
  await using registry = await startRegistry();
  await using registries = new Registries({ configDirectory: '/nonexistent' });
  const { host } = registry;
  for (const [tag, version] of [
    ['older', older],
    ['newer', newer],
    ['revised', '10.0.17763.9999'],
  ] as const) {
    const platform = { os: 'windows', architecture: 'amd64', 'os.version': version };
    await pushSample({ host, repository: 'base', tag }, { platform });
  }
  const put = (tags: readonly string[], force = false): Promise<unknown> =>
    pushList(
      {
        names: [`${host}/list:latest`],
        sources: tags.map((tag) => ({ image: `${host}/base:${tag}` })),
        type: 'auto',
        ignoreMissing: false,
        force,
      },
      registries,
      { signal, onWarning: () => {} },
    );
  await put(['older', 'newer']);
  const error = await failureOf(put(['newer']));
  assert.is(error.code, 'platform-loss');
  assert.match(error.message, `${host}/list:latest has windows(10.0.17763)/amd64 today`);
  await put(['revised', 'newer']);
  await put(['newer'], true);
});

test.run();

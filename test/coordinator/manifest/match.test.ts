import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { choices } from '../../../coordinator/manifest/match.ts';
import { formatPlatform, parsePlatform } from '../../../shared/platform.ts';

/** What containerd's `platforms.Only` gives, in its order. */
const expected: Readonly<Record<string, readonly string[]>> = {
  'linux/amd64': ['linux/amd64', 'linux/386'],
  'linux/amd64/v3': ['linux/amd64/v3', 'linux/amd64/v2', 'linux/amd64', 'linux/386'],
  'linux/386': ['linux/386'],
  'linux/arm/v6': ['linux/arm/v6', 'linux/arm/v5'],
  'linux/arm': ['linux/arm/v7', 'linux/arm/v6', 'linux/arm/v5'],
  'linux/arm64': ['linux/arm64/v8', 'linux/arm/v8', 'linux/arm/v7', 'linux/arm/v6', 'linux/arm/v5'],
  'linux/arm64/v8.2': [
    'linux/arm64/v8.2',
    'linux/arm64/v8.1',
    'linux/arm64/v8',
    'linux/arm/v8',
    'linux/arm/v7',
    'linux/arm/v6',
    'linux/arm/v5',
  ],
  'linux/s390x': ['linux/s390x'],
  'windows/amd64': ['windows/amd64', 'windows/386'],
};

test('a platform accepts what containerd accepts, best first', () => {
  for (const [platform, accepted] of Object.entries(expected)) {
    assert.equal(choices(parsePlatform(platform)).map(formatPlatform), accepted, platform);
  }
});

test('arm64 of the ninth version includes five more minors of the eighth, of which there are nine', () => {
  const v91 = choices(parsePlatform('linux/arm64/v9.1')).map(formatPlatform);
  assert.equal(v91.slice(0, 4), [
    'linux/arm64/v9.1',
    'linux/arm64/v9',
    'linux/arm64/v8.6',
    'linux/arm64/v8.5',
  ]);
  const v95 = choices(parsePlatform('linux/arm64/v9.5')).map(formatPlatform);
  assert.is(v95[6], 'linux/arm64/v8.9');
});

test.run();

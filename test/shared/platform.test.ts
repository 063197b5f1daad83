import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArchfarmError } from '../../shared/errors.ts';
import {
  checkPlatform,
  formatPlatform,
  parsePlatform,
  platformSuffix,
  samePlatform,
  type Platform,
} from '../../shared/platform.ts';

function hintFor(text: string): string | undefined {
  try {
    parsePlatform(text);
  } catch (error) {
    if (!(error instanceof ArchfarmError)) throw error;
    assert.is(error.code, 'usage');
    assert.is(error.message, `unknown platform ${JSON.stringify(text)}`);
    return error.hint;
  }
  throw new Error(`${text} was taken`);
}

test('every spelling of a platform becomes its one name', () => {
  const golden: [text: string, name: string][] = [
    ['linux/amd64', 'linux/amd64'],
    ['amd64', 'linux/amd64'],
    ['x86_64', 'linux/amd64'],
    ['x86-64', 'linux/amd64'],
    ['linux/amd64/v1', 'linux/amd64'],
    ['linux/amd64/v3', 'linux/amd64/v3'],
    [' Linux/AMD64 ', 'linux/amd64'],
    ['arm64', 'linux/arm64/v8'],
    ['aarch64', 'linux/arm64/v8'],
    ['linux/arm64/8', 'linux/arm64/v8'],
    ['linux/arm64/v8.0', 'linux/arm64/v8'],
    ['linux/arm64/v8.2', 'linux/arm64/v8.2'],
    ['linux/arm64/9', 'linux/arm64/v9'],
    ['arm', 'linux/arm/v7'],
    ['linux/arm/7', 'linux/arm/v7'],
    ['armhf', 'linux/arm/v7'],
    ['armv7l', 'linux/arm/v7'],
    ['armel', 'linux/arm/v6'],
    ['linux/armv6l', 'linux/arm/v6'],
    ['linux/arm/v5', 'linux/arm/v5'],
    ['i386', 'linux/386'],
    ['linux/i686', 'linux/386'],
    ['loongarch64', 'linux/loong64'],
    ['s390x', 'linux/s390x'],
    ['ppc64le', 'linux/ppc64le'],
    ['linux/ppc64le/power9', 'linux/ppc64le/power9'],
    ['riscv64', 'linux/riscv64'],
    ['linux/mips64le', 'linux/mips64le'],
    ['windows/amd64', 'windows/amd64'],
    ['macos/arm64', 'darwin/arm64/v8'],
    ['wasip1/wasm', 'wasip1/wasm'],
  ];
  for (const [text, name] of golden) assert.is(formatPlatform(parsePlatform(text)), name, text);
});

test('a misspelled platform gets the nearest right one', () => {
  const golden: [text: string, hint: string][] = [
    ['armv7', 'did you mean linux/arm/v7?'],
    ['linux/armv7', 'did you mean linux/arm/v7?'],
    ['linux/arm32v6', 'did you mean linux/arm/v6?'],
    ['arm64v8', 'did you mean linux/arm64/v8?'],
    ['armv8', 'did you mean linux/arm64?'],
    ['linux/x64', 'did you mean linux/amd64?'],
    ['x86', 'did you mean linux/386?'],
    ['ppc64el', 'did you mean linux/ppc64le?'],
    ['linux/amd46', 'did you mean linux/amd64?'],
    ['linux/rsicv64', 'did you mean linux/riscv64?'],
    ['linus/amd64', 'did you mean linux/amd64?'],
  ];
  for (const [text, hint] of golden) assert.is(hintFor(text), hint, text);
  assert.match(hintFor('templeos/z80') ?? '', /^known operating systems: linux, aix, /);
});

test('what is like no platform gets the list of those for linux', () => {
  for (const text of ['', 'all', 'any', 'linux/all']) {
    assert.match(hintFor(text) ?? '', /^known for linux: 386, amd64, /, text);
  }
  const strange = ['', '/', 'a/b/c/d', 'linux/', 'l i n u x', 'sparkling-water', '🍓', 'linux/arm64/v99/x'];
  for (const text of strange)
    assert.match(
      hintFor(text) ?? '',
      /^(known for linux: 386, amd64, |known operating systems: |did you mean |variants of )/,
    );
});

test('unknown variants and pairs are refused', () => {
  for (const text of ['linux/arm/v9', 'linux/amd64/v9', 'darwin/s390x', 'linux/s390x/z13', 'linux/wasm'])
    hintFor(text);
});

test('names that every JavaScript object has are no platforms', () => {
  for (const text of [
    'constructor',
    'constructor/amd64',
    'linux/constructor',
    '__proto__',
    '__proto__/x',
    'linux/arm/constructor',
    'linux/__proto__/v8',
  ])
    hintFor(text);
});

test('any text is a platform or a usage error', () => {
  const part = fc.oneof(
    fc.constantFrom('linux', 'arm', 'arm64', 'v7', 'windows', 'constructor', 'valueof'),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 4 }), (parts) => {
      try {
        const name = formatPlatform(parsePlatform(parts.join('/')));
        assert.is(formatPlatform(parsePlatform(name)), name);
      } catch (error) {
        assert.ok(error instanceof ArchfarmError && error.code === 'usage', String(error));
      }
    }),
  );
});

test('suffixes are those of ONAP and the Docker Official Images', () => {
  const golden: Record<string, string> = {
    amd64: 'amd64',
    arm64: 'arm64v8',
    'linux/arm/v5': 'arm32v5',
    'linux/arm/v6': 'arm32v6',
    arm: 'arm32v7',
    '386': 'i386',
    ppc64le: 'ppc64le',
    s390x: 's390x',
    riscv64: 'riscv64',
    'linux/mips64le': 'mips64le',
    'linux/amd64/v3': 'amd64v3',
    'linux/arm64/v8.2': 'arm64v8-2',
    'windows/amd64': 'windows-amd64',
    'darwin/arm64': 'darwin-arm64v8',
  };
  for (const [text, suffix] of Object.entries(golden)) assert.is(platformSuffix(parsePlatform(text)), suffix);
});

test('platforms are the same when their normalized names are', () => {
  const arm64 = { os: 'linux', architecture: 'arm64' };
  assert.ok(samePlatform(arm64, { os: 'Linux', architecture: 'aarch64', variant: 'v8' }));
  assert.ok(
    samePlatform(
      { os: 'linux', architecture: 'arm', variant: '' },
      parsePlatform('arm/v7'.replace(/^/, 'linux/')),
    ),
  );
  assert.not(samePlatform(arm64, { os: 'linux', architecture: 'arm64', variant: 'v9' }));
  assert.not(samePlatform(arm64, { os: 'windows', architecture: 'arm64' }));
});

test('what is published as it is written takes no alias, and tells the name', () => {
  const golden: [platform: Platform, hint: string | undefined][] = [
    [{ os: 'linux', architecture: 'arm64' }, undefined],
    [{ os: 'linux', architecture: 'arm', variant: 'v7' }, undefined],
    [{ os: 'android', architecture: 'arm64' }, undefined],
    [{ os: 'linux', architecture: 'x86_64' }, 'did you mean linux/amd64?'],
    [{ os: 'linux', architecture: 'arm', variant: '7' }, 'did you mean linux/arm/v7?'],
    [{ os: 'linux', architecture: 'armv7' }, 'did you mean linux/arm/v7?'],
    [{ os: 'linux', architecture: 'arm64v8', variant: 'v8' }, 'did you mean linux/arm64/v8?'],
    [{ os: 'windows', architecture: 's390x' }, 'known for windows: 386, amd64, arm, arm64'],
    [{ os: 'linux', architecture: 'amd64', variant: 'v7' }, 'variants of amd64: v2, v3, v4'],
    [{ os: 'Linux', architecture: 'amd64' }, 'did you mean linux/amd64?'],
  ];
  for (const [platform, hint] of golden) {
    let found: string | undefined;
    try {
      checkPlatform(platform);
    } catch (error) {
      found = error instanceof ArchfarmError ? error.hint : String(error);
    }
    assert.is(found, hint, formatPlatform(platform));
  }
});

test.run();

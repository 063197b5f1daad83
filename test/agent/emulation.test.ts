import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { brokenEmulation, emulatedPlatforms } from '../../agent/emulation.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

function entry({ state = 'enabled', flags = 'OCF' } = {}): string {
  return `${state}\ninterpreter /usr/bin/qemu-static\nflags: ${flags}\noffset 0\nmagic 7f454c46\nmask ffffffff\n`;
}

test('interpreters that work inside containers are offered, sorted by platform', async () => {
  await using dir = await temporaryDirectory();
  const entries: Record<string, string> = {
    'qemu-s390x': entry(),
    'qemu-aarch64': entry(),
    'qemu-arm': entry({ flags: 'F' }),
    'qemu-ppc64le': entry({ state: 'disabled' }),
    'qemu-riscv64': entry({ flags: 'OC' }),
    'qemu-mips64': '',
    'qemu-unheard-of': entry(),
    'python3.11': entry(),
    register: '',
    status: 'enabled',
  };
  for (const [name, text] of Object.entries(entries)) await writeFile(join(dir.path, name), text);
  await mkdir(join(dir.path, 'qemu-i386'));
  assert.equal(await emulatedPlatforms(dir.path), ['linux/arm/v7', 'linux/arm64/v8', 'linux/s390x']);
  assert.equal(await brokenEmulation(dir.path), [
    { platform: 'linux/ppc64le', why: 'disabled' },
    { platform: 'linux/riscv64', why: 'without flag F, so that containers do not see it' },
  ]);
});

test('without binfmt_misc nothing is emulated', async () => {
  assert.equal(await emulatedPlatforms('/nonexistent'), []);
  assert.equal(await brokenEmulation('/nonexistent'), []);
});

test.run();

/** Which foreign platforms this kernel runs through binfmt_misc: always offered as emulated, never as native. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatPlatform, parsePlatform } from '../shared/platform.ts';

/** Names that qemu's packages and tonistiigi/binfmt register their interpreters under. */
const platformOf: Readonly<Record<string, string>> = {
  'qemu-x86_64': 'linux/amd64',
  'qemu-i386': 'linux/386',
  'qemu-aarch64': 'linux/arm64',
  'qemu-arm': 'linux/arm/v7',
  'qemu-ppc64le': 'linux/ppc64le',
  'qemu-s390x': 'linux/s390x',
  'qemu-riscv64': 'linux/riscv64',
  'qemu-loongarch64': 'linux/loong64',
  'qemu-mips64el': 'linux/mips64le',
  'qemu-mips64': 'linux/mips64',
};

/** Formatted platforms, sorted. Without binfmt_misc there are none. */
export async function emulatedPlatforms(directory = '/proc/sys/fs/binfmt_misc'): Promise<string[]> {
  const names = await readdir(directory).catch(() => []);
  const found = await Promise.all(
    names.map(async (name) => {
      const platform = platformOf[name];
      if (platform === undefined) return undefined;
      const text = await readFile(join(directory, name), 'utf8').catch(() => '');
      return isUsable(text) ? formatPlatform(parsePlatform(platform)) : undefined;
    }),
  );
  return found.filter((platform) => platform !== undefined).toSorted();
}

/**
 * Flag F makes the kernel hold the interpreter open, so that it works inside a container that does not have it:
 * Documentation/admin-guide/binfmt-misc.rst.
 */
function isUsable(entry: string): boolean {
  return entry.startsWith('enabled') && /^flags:.*F/m.test(entry);
}

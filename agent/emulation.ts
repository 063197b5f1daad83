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

const registered = '/proc/sys/fs/binfmt_misc';

/** Formatted platforms, sorted. Without binfmt_misc there are none. */
export async function emulatedPlatforms(directory = registered): Promise<string[]> {
  const found = await interpreters(directory);
  return found.filter(({ why }) => why === undefined).map(({ platform }) => platform);
}

/** Those that are registered, but do not work in containers, and why. */
export async function brokenEmulation(
  directory = registered,
): Promise<{ readonly platform: string; readonly why: string }[]> {
  const found = await interpreters(directory);
  return found.flatMap(({ platform, why }) => (why === undefined ? [] : [{ platform, why }]));
}

interface Interpreter {
  readonly platform: string;
  /** It cannot be used. */
  readonly why: string | undefined;
}

/** By platform. */
async function interpreters(directory: string): Promise<Interpreter[]> {
  const names = await readdir(directory).catch(() => []);
  const found = await Promise.all(
    names.map(async (name): Promise<Interpreter[]> => {
      const platform = platformOf[name];
      const text = await readFile(join(directory, name), 'utf8').catch(() => '');
      if (platform === undefined || text === '') return [];
      return [{ platform: formatPlatform(parsePlatform(platform)), why: trouble(text) }];
    }),
  );
  return found.flat().toSorted((a, b) => (a.platform < b.platform ? -1 : 1));
}

/**
 * Flag F makes the kernel hold the interpreter open, so that it works inside a container that does not have it:
 * Documentation/admin-guide/binfmt-misc.rst.
 */
function trouble(entry: string): string | undefined {
  if (!entry.startsWith('enabled')) return 'disabled';
  return /^flags:.*F/m.test(entry) ? undefined : 'without flag F, so that containers do not see it';
}

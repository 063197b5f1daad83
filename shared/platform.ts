/**
 * Platforms: `os/arch[/variant]`, compared in containerd-normalized form and emitted with arm64's `v8`.
 * Rules after containerd/platforms (database.go, platforms.go) and bashbrew (`arm64` without variant is `v8`).
 */
import leven from 'leven';
import { ArchfarmError } from './errors.ts';

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** Absent where the architecture has one level only. arm64 always carries its variant here (`v8`). */
  readonly variant?: string;
}

const architectureAliases: Readonly<Record<string, readonly [architecture: string, variant?: string]>> = {
  i386: ['386'],
  i686: ['386'],
  x86_64: ['amd64'],
  'x86-64': ['amd64'],
  aarch64: ['arm64'],
  armhf: ['arm', 'v7'],
  armel: ['arm', 'v6'],
  armv7l: ['arm', 'v7'],
  armv6l: ['arm', 'v6'],
  loongarch64: ['loong64'],
};

/** What Go builds for (`go tool dist list`), and so what engines and their clients can be. */
const knownPairs: Readonly<Record<string, readonly string[]>> = {
  linux: [
    '386', 'amd64', 'arm', 'arm64', 'loong64', 'mips', 'mips64', 'mips64le', 'mipsle', 'ppc64', 'ppc64le',
    'riscv64', 's390x',
  ],
  aix: ['ppc64'],
  android: ['386', 'amd64', 'arm', 'arm64'],
  darwin: ['amd64', 'arm64'],
  dragonfly: ['amd64'],
  freebsd: ['386', 'amd64', 'arm', 'arm64', 'riscv64'],
  illumos: ['amd64'],
  ios: ['amd64', 'arm64'],
  js: ['wasm'],
  netbsd: ['386', 'amd64', 'arm', 'arm64'],
  openbsd: ['386', 'amd64', 'arm', 'arm64', 'ppc64', 'riscv64'],
  plan9: ['386', 'amd64', 'arm'],
  solaris: ['amd64'],
  windows: ['386', 'amd64', 'arm', 'arm64'],
  wasip1: ['wasm'],
}; // prettier-ignore

const knownVariants: Readonly<Record<string, RegExp>> = {
  arm: /^v[5-8]$/,
  arm64: /^v(8(\.[1-9])?|9(\.[0-5])?)$/,
  amd64: /^v[234]$/,
  ppc64le: /^power(8|9|10)$/,
  riscv64: /^rva2[0-3]u64$/,
};

/** The same for people. */
const variantNames: Readonly<Record<string, string>> = {
  arm: 'v5, v6, v7, v8',
  arm64: 'v8, v8.1 to v8.9, v9, v9.1 to v9.5',
  amd64: 'v2, v3, v4',
  ppc64le: 'power8, power9, power10',
  riscv64: 'rva20u64 to rva23u64',
};

/** Spellings people use for a platform that are not one, and what they mean. */
const misspellings: Readonly<Record<string, string>> = {
  armv5: 'arm/v5',
  armv6: 'arm/v6',
  armv7: 'arm/v7',
  armv8: 'arm64',
  arm64v8: 'arm64/v8',
  arm32v5: 'arm/v5',
  arm32v6: 'arm/v6',
  arm32v7: 'arm/v7',
  x64: 'amd64',
  x86: '386',
  ppc64el: 'ppc64le',
  mips64el: 'mips64le',
};

const suffixes: Readonly<Record<string, string>> = {
  'linux/arm64/v8': 'arm64v8',
  'linux/arm/v5': 'arm32v5',
  'linux/arm/v6': 'arm32v6',
  'linux/arm/v7': 'arm32v7',
  'linux/386': 'i386',
};

/** Reads `linux/arm64`, `arm64`, `linux/arm/v7` …; throws `usage` with the nearest right spelling. */
export function parsePlatform(text: string): Platform {
  const parts = text.trim().toLowerCase().split('/');
  if (parts.length > 3 || parts.some((part) => !/^[a-z0-9_.-]+$/.test(part))) throw unknownPlatform(text);
  const single = parts.length === 1;
  const [os = '', arch = '', variant] = single ? ['linux', ...parts] : parts;
  const platform = normalizePlatform({
    os,
    architecture: arch,
    ...(variant === undefined ? {} : { variant }),
  });
  if (!isKnown(platform)) throw unknownPlatform(text);
  return platform;
}

/**
 * For fields that are published as they are written: an alias is refused as well, with the name it stands for. Throws
 * `usage`.
 */
export function checkPlatform(platform: Platform): void {
  if (isKnown(platform)) return;
  const meant = normalizePlatform(platform);
  throw unknownPlatform(formatPlatform(platform), isKnown(meant) ? formatPlatform(meant) : undefined);
}

/** The one spelling of a platform inside archfarm: lower case, aliases resolved, `arm` is v7, `arm64` is v8. */
export function normalizePlatform(raw: Platform): Platform {
  const os = raw.os.toLowerCase() === 'macos' ? 'darwin' : raw.os.toLowerCase();
  const given = raw.architecture.toLowerCase();
  const [architecture, implied] = own(architectureAliases, given) ?? [given];
  const variant = normalizeVariant(architecture, raw.variant?.toLowerCase() || implied);
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

function normalizeVariant(architecture: string, variant: string | undefined): string | undefined {
  switch (architecture) {
    case 'amd64':
      return variant === 'v1' ? undefined : variant;
    case 'arm64':
      if (variant === undefined || ['8', 'v8', '8.0', 'v8.0'].includes(variant)) return 'v8';
      return ['9', '9.0', 'v9.0'].includes(variant) ? 'v9' : variant;
    case 'arm':
      if (variant === undefined) return 'v7';
      return /^[5-8]$/.test(variant) ? `v${variant}` : variant;
    default:
      return variant;
  }
}

/** Names come from anywhere, and every object answers to `constructor`. */
function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

function isKnown(platform: Platform): boolean {
  if (own(knownPairs, platform.os)?.includes(platform.architecture) !== true) return false;
  if (platform.variant === undefined) return true;
  return own(knownVariants, platform.architecture)?.test(platform.variant) === true;
}

function unknownPlatform(text: string, meant?: string): ArchfarmError {
  return new ArchfarmError('usage', `unknown platform ${JSON.stringify(text)}`, {
    hint: meant === undefined ? nearestPlatform(text) : `did you mean ${meant}?`,
  });
}

function nearestPlatform(text: string): string {
  const all = Object.entries(knownPairs).flatMap(([os, archs]) => archs.map((arch) => `${os}/${arch}`));
  const wanted = text.trim().toLowerCase();
  const bare = wanted.replace(/^linux\//, '');
  // A variant may follow what says it already.
  const known = own(misspellings, bare) ?? own(misspellings, bare.split('/')[0]!);
  const nearest =
    known === undefined
      ? all
          .map((name) => ({ name, distance: leven(name, wanted.includes('/') ? wanted : `linux/${wanted}`) }))
          .toSorted((a, b) => a.distance - b.distance)[0]
      : { name: `linux/${known}`, distance: 0 };
  const [first = '', second = ''] = wanted.split('/');
  const variants = own(variantNames, second);
  if (own(knownPairs, first)?.includes(second) === true && variants !== undefined) {
    return `variants of ${second}: ${variants}`;
  }
  // Of a short word little is left when three of its letters are others: `all` is not `arm`.
  if (nearest !== undefined && nearest.distance <= Math.min(3, bare.length / 2))
    return `did you mean ${nearest.name}?`;
  const architectures = own(knownPairs, first);
  if (architectures === undefined && second !== '') {
    return `known operating systems: ${Object.keys(knownPairs).join(', ')}`;
  }
  const os = architectures === undefined ? 'linux' : first;
  return `known for ${os}: ${knownPairs[os]!.join(', ')}`;
}

/** `linux/arm64/v8`: the name shown, stored and sent. */
export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant]
    .filter((part) => part !== undefined)
    .join('/');
}

export function samePlatform(left: Platform, right: Platform): boolean {
  return formatPlatform(normalizePlatform(left)) === formatPlatform(normalizePlatform(right));
}

/** The arch suffix of ONAP and Docker Official Images: `arm64v8`, `amd64`, `arm32v7`, `windows-amd64` … */
export function platformSuffix(platform: Platform): string {
  const normalized = normalizePlatform(platform);
  const named = suffixes[formatPlatform(normalized)];
  if (named !== undefined) return named;
  const base = `${normalized.architecture}${normalized.variant ?? ''}`.replaceAll('.', '-');
  return normalized.os === 'linux' ? base : `${normalized.os}-${base}`;
}

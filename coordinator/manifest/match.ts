/**
 * What runs on a platform besides its own images, best first: what containerd's `platforms.Only` accepts
 * (github.com/containerd/platforms, compare.go), and so what Docker and Kubernetes pull.
 */
import { normalizePlatform, type Platform } from '../../shared/platform.ts';

/** All in normalized form; the first is the platform itself. */
export function choices(platform: Platform): readonly Platform[] {
  const own = normalizePlatform(platform);
  const { os } = own;
  switch (own.architecture) {
    case 'amd64':
      return [...amd64(own), { os, architecture: '386' }];
    case 'arm':
      return arm(os, Number(own.variant?.slice(1) ?? 7));
    case 'arm64':
      return [...arm64(own), ...arm(os, 8)];
    default:
      return [own];
  }
}

/** Each level runs what is built for those below it; the first has no name. */
function amd64({ os, variant }: Platform): Platform[] {
  const level = Number(variant?.slice(1) ?? 1);
  return downFrom(level, 1).map((each) => ({
    os,
    architecture: 'amd64',
    ...(each === 1 ? {} : { variant: `v${each}` }),
  }));
}

function arm(os: string, version: number): Platform[] {
  return downFrom(version, 5).map((each) => ({ os, architecture: 'arm', variant: `v${each}` }));
}

/** v9.y includes v8.(y+5), of which nine exist. */
function arm64({ os, variant = 'v8' }: Platform): Platform[] {
  const [major = 8, minor = 0] = variant.slice(1).split('.').map(Number);
  const versions =
    major === 9 ? [...minors(9, minor), ...minors(8, Math.min(minor + 5, 9))] : minors(8, minor);
  return versions.map((version) => ({ os, architecture: 'arm64', variant: version }));
}

function minors(major: number, highest: number): string[] {
  return downFrom(highest, 0).map((minor) => (minor === 0 ? `v${major}` : `v${major}.${minor}`));
}

function downFrom(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, first - last + 1) }, (_, index) => first - index);
}

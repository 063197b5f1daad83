/** What a directory of an image holds, as its engine packs it. */
import { spawn, execFile } from 'node:child_process';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { extract, type Header } from 'tar-stream';
import type { RunningFarm } from '../../scripts/rig/farm.ts';
import type { ImageRun } from './image-run.ts';
import { digest, type Listed, type Listing } from './sample-context.ts';

const run = promisify(execFile);

export interface ImageListing {
  readonly listing: Listing;
  /** The first name of each file that has several, by its further names. */
  readonly links: ReadonlyMap<string, string>;
  /** Seconds since 1970, of files. */
  readonly mtimes: ReadonlyMap<string, number>;
}

/** Pulls the reference for the platform; paths in the listing are below the directory. */
export async function listImage(
  farm: RunningFarm,
  { reference, platform }: ImageRun,
  directory: string,
): Promise<ImageListing> {
  const docker = ['-H', farm.engines[platform].host];
  const create = ['create', '--pull', 'always', '--platform', platform, reference, 'true'];
  const container = (await run('docker', [...docker, ...create], { env: farm.env })).stdout.trim();
  const copy = spawn('docker', [...docker, 'cp', `${container}:${directory}`, '-'], {
    env: farm.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(copy, 'close');
  const reading = extract();
  const [found] = await Promise.all([
    read(reading, directory.slice(1)),
    pipeline(copy.stdout, reading),
    ended,
  ]);
  await run('docker', [...docker, 'rm', container], { env: farm.env });
  return found;
}

async function read(reading: ReturnType<typeof extract>, root: string): Promise<ImageListing> {
  const listing: Listing = {};
  const links = new Map<string, string>();
  const mtimes = new Map<string, number>();
  const below = (name: string): string => name.replace(/\/$/, '').slice(root.length + 1);
  for await (const entry of reading) {
    const path = below(entry.header.name);
    const content = await buffer(entry);
    if (path === '') continue;
    if (entry.header.type === 'link') {
      const target = below(entry.header.linkname ?? '');
      links.set(path, target);
      listing[path] = listing[target] ?? { type: 'symlink', target: 'a link to what is not there' };
      continue;
    }
    listing[path] = listed(entry.header, content);
    if (entry.header.type === 'file')
      mtimes.set(path, Math.floor((entry.header.mtime?.getTime() ?? 0) / 1000));
  }
  return { listing, links, mtimes };
}

function listed({ type, mode, linkname }: Header, content: Buffer): Listed {
  switch (type) {
    case 'file':
      return { type, mode: mode & 0o7777, digest: digest(content) };
    case 'directory':
      return { type, mode: mode & 0o7777 };
    case 'symlink':
      return { type, target: linkname };
    default:
      throw new Error(`an image should not hold a ${type}`);
  }
}

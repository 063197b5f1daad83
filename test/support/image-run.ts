/** What a published image is to somebody who has an engine and its name. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { busyboxBase } from '../../scripts/rig/base-image.ts';
import type { RunningFarm } from '../../scripts/rig/farm.ts';
import { buildImage } from './build-command.ts';

const run = promisify(execFile);

export type TestPlatform = 'linux/amd64' | 'linux/arm64';

/** Builds and publishes a busybox for both platforms; gives its reference, to be used in FROM. */
export async function publishBase(farm: RunningFarm): Promise<string> {
  const reference = `${farm.registry}/busybox`;
  const platforms = ['--platform', 'linux/amd64,linux/arm64', '--allow-emulation'];
  await buildImage(['-t', reference, ...platforms, await busyboxBase()], { env: farm.env });
  return reference;
}

export interface ImageRun {
  readonly reference: string;
  readonly platform: TestPlatform;
}

/** Pulls the reference for the platform and runs a command in it; gives what it printed. */
export async function runImage(
  farm: RunningFarm,
  { reference, platform }: ImageRun,
  ...command: string[]
): Promise<string> {
  const options = ['--rm', '--network', 'none', '--pull', 'always', '--platform', platform];
  const all = ['-H', farm.engines[platform].host, 'run', ...options, reference, ...command];
  return (await run('docker', all, { env: farm.env, maxBuffer: 16 * 1024 * 1024 })).stdout.trim();
}

/** docker-buildx as Debian 13 has it, for comparisons: Debian 12 has none. */
import { mkdir, symlink } from 'node:fs/promises';
import { debianFile } from './debian-file.ts';

const release = 'trixie';

/** Where docker looks for plugins, below the directory that DOCKER_CONFIG names. */
const plugin = 'cli-plugins/docker-buildx';

/** The program's path. It runs by itself, with DOCKER_HOST, or as a plugin of `docker`. */
export async function buildx(): Promise<string> {
  const path = `usr/libexec/docker/${plugin}`;
  return debianFile({ package: 'docker-buildx', release, path, place: `docker-buildx-${release}/${plugin}` });
}

/** Makes `docker buildx` known to those who have this directory as their DOCKER_CONFIG. */
export async function installBuildx(dockerConfig: string): Promise<void> {
  await mkdir(`${dockerConfig}/cli-plugins`, { recursive: true });
  await symlink(await buildx(), `${dockerConfig}/${plugin}`);
}

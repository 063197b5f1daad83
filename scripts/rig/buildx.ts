/**
 * docker-buildx as Debian 13 has it, for comparisons: Debian 12 has none. The package is fetched from the mirror
 * that this machine uses for its own, verified by apt, and unpacked into the clone's .cache/ instead of installed.
 */
import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { privateApt } from './apt.ts';

const run = promisify(execFile);
const cache = fileURLToPath(new URL('../../.cache', import.meta.url));
const release = 'trixie';
const target = `${cache}/docker-buildx-${release}`;

/** Where docker looks for plugins, below the directory that DOCKER_CONFIG names. */
const plugin = 'cli-plugins/docker-buildx';

/** The program's path. It runs by itself, with DOCKER_HOST, or as a plugin of `docker`. */
export async function buildx(): Promise<string> {
  const program = `${target}/${plugin}`;
  if (await exists(program)) return program;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(`${cache}/making-`);
  try {
    await unpackPackage(work);
    const made = `${work}/config`;
    await mkdir(`${made}/cli-plugins`, { recursive: true });
    await rename(`${work}/files/usr/libexec/docker/${plugin}`, `${made}/${plugin}`);
    // Another process may have been faster; what it made is the same.
    await rename(made, target).catch(async (error: unknown) => {
      if (!(await exists(program))) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return program;
}

/** Makes `docker buildx` known to those who have this directory as their DOCKER_CONFIG. */
export async function installBuildx(dockerConfig: string): Promise<void> {
  await mkdir(`${dockerConfig}/cli-plugins`, { recursive: true });
  await symlink(await buildx(), `${dockerConfig}/${plugin}`);
}

async function unpackPackage(work: string): Promise<void> {
  const sources = `${work}/${release}.sources`;
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const stanza = ['Types: deb', `URIs: ${await mirror()}`, `Suites: ${release}`, 'Components: main'];
  await writeFile(sources, [...stanza, `Signed-By: ${keyring}`, ''].join('\n'));
  const architecture = (await run('dpkg', ['--print-architecture'])).stdout.trim();
  const apt = await privateApt(`${work}/apt`, { sources, architecture });
  await apt('download', 'docker-buildx');
  const [archive] = (await readdir(`${work}/apt/archives`)).filter((name) => name.endsWith('.deb'));
  await run('dpkg-deb', ['--extract', `${work}/apt/archives/${archive}`, `${work}/files`]);
}

/** What this machine's own release comes from; its apt need not have any lists yet. */
async function mirror(): Promise<string> {
  const codename = /^VERSION_CODENAME=(\S+)$/m.exec(await readFile('/etc/os-release', 'utf8'))?.[1];
  const format = ['--no-release-info', '--format', '$(RELEASE) $(REPO_URI)'];
  const { stdout } = await run('apt-get', ['indextargets', ...format, 'Created-By: Packages']);
  const own = stdout.split('\n').find((line) => line.startsWith(`${codename} `));
  if (own === undefined) throw new Error(`no source of ${codename} packages in the configuration of apt`);
  return own.slice(own.indexOf(' ') + 1);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

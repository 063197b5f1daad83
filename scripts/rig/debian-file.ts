/**
 * One file of a Debian package, for tests and comparisons: fetched from the mirror that this machine uses for its own
 * packages, verified by apt, and unpacked into the clone's .cache/ instead of installed.
 */
import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { privateApt } from './apt.ts';

const run = promisify(execFile);
const cache = fileURLToPath(new URL('../../.cache', import.meta.url));

export interface DebianFile {
  readonly package: string;
  /** Codename of the release that has it. */
  readonly release: string;
  /** In the package. */
  readonly path: string;
  /** Where it is kept, below the cache. */
  readonly place: string;
}

/** Its path here. */
export async function debianFile(wanted: DebianFile): Promise<string> {
  const kept = `${cache}/${wanted.place}`;
  if (await exists(kept)) return kept;
  await mkdir(dirname(kept), { recursive: true });
  const work = await mkdtemp(`${cache}/making-`);
  try {
    await unpack(wanted, work);
    // Another process may have been faster; what it made is the same.
    await rename(`${work}/files/${wanted.path}`, kept);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return kept;
}

async function unpack({ package: name, release }: DebianFile, work: string): Promise<void> {
  const sources = `${work}/${release}.sources`;
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const stanza = ['Types: deb', `URIs: ${await mirror()}`, `Suites: ${release}`, 'Components: main'];
  await writeFile(sources, [...stanza, `Signed-By: ${keyring}`, ''].join('\n'));
  const architecture = (await run('dpkg', ['--print-architecture'])).stdout.trim();
  const apt = await privateApt(`${work}/apt`, { sources, architecture });
  await apt('download', name);
  const [archive] = (await readdir(`${work}/apt/archives`)).filter((file) => file.endsWith('.deb'));
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

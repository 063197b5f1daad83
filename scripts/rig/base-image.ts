/**
 * Base images made of Debian's packages, so that no public registry is needed: a build context with one
 * directory a platform, each holding real binaries of its architecture, and a Dockerfile that takes the right
 * one. Contexts are kept in the clone's .cache/ and made again when their recipe changes.
 */
import { execFile } from 'node:child_process';
import {
  access,
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { privateApt } from './apt.ts';

const run = promisify(execFile);
const cache = fileURLToPath(new URL('../../.cache', import.meta.url));
const architectures = ['amd64', 'arm64'] as const;

const dockerfile = ['FROM scratch', 'ARG TARGETARCH', 'COPY ${TARGETARCH}/ /', ''].join('\n');
const applets =
  'sh cat chmod cp echo env false find grep head id ls mkdir mv rm sed seq sleep stat tail test touch true uname wc';

interface Recipe {
  readonly packages: readonly string[];
  /** Dependencies that the image works without. */
  readonly without: readonly string[];
  /** Paths left out, as tar patterns. */
  readonly exclude: readonly string[];
}

const busybox: Recipe = { packages: ['busybox-static'], without: [], exclude: ['./usr/share'] };

const python: Recipe = {
  packages: ['python3-flask', 'busybox-static'],
  without: [
    'dpkg',
    'gcc-12-base',
    'libacl1',
    'libdb5.3',
    'libjs-jquery',
    'libmd0',
    'libpcre2-8-0',
    'libselinux1',
    'libtirpc-common',
    'media-types',
    'readline-common',
    'tar',
  ],
  exclude: [
    './usr/lib/*/gconv',
    './usr/lib/python3*/lib2to3',
    './usr/lib/python3*/pydoc_data',
    './usr/lib/python3*/test',
    './usr/share/doc',
    './usr/share/doc-base',
    './usr/share/lintian',
    './usr/share/locale',
    './usr/share/man',
  ],
};

/** What ssh-add links to, and a shell. */
const ssh: Recipe = {
  packages: ['openssh-client', 'busybox-static'],
  without: [
    'adduser',
    'debconf',
    'gcc-12-base',
    'libaudit-common',
    'libaudit1',
    'libbsd0',
    'libbz2-1.0',
    'libcap-ng0',
    'libcbor0.8',
    'libcom-err2',
    'libcrypt1',
    'libdb5.3',
    'libedit2',
    'libfido2-1',
    'libgcc-s1',
    'libgssapi-krb5-2',
    'libk5crypto3',
    'libkeyutils1',
    'libkrb5-3',
    'libkrb5support0',
    'libmd0',
    'libpam-modules',
    'libpam-modules-bin',
    'libpam0g',
    'libsemanage-common',
    'libsemanage2',
    'libsepol2',
    'libtinfo6',
    'libudev1',
    'passwd',
    'zlib1g',
  ],
  exclude: ['./usr/lib/*/gconv', './usr/share'],
};

/** A context for `FROM scratch` with a static busybox, under 3 MB a platform. Returns its directory. */
export function busyboxBase(): Promise<string> {
  return context('busybox-base', busybox);
}

/** A context with OpenSSH's clients of ssh agents and a shell. Returns its directory. */
export function sshBase(): Promise<string> {
  return context('ssh-base', ssh);
}

/** A context with python3, Flask and a shell. Returns its directory, which is always `.cache/python-base`. */
export function pythonBase(): Promise<string> {
  return context('python-base', python);
}

async function context(name: string, recipe: Recipe): Promise<string> {
  const target = `${cache}/${name}`;
  const written = JSON.stringify({ ...recipe, dockerfile, applets });
  if ((await readFile(`${target}/recipe.json`, 'utf8').catch(() => '')) === written) return target;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(`${cache}/making-`);
  try {
    const made = `${work}/${name}`;
    await Promise.all(
      architectures.map(async (architecture) => {
        const files = await download(`${work}/apt-${architecture}`, { architecture, recipe });
        await unpack(files, { root: `${made}/${architecture}`, recipe });
      }),
    );
    await writeFile(`${made}/Dockerfile`, dockerfile);
    await writeFile(`${made}/recipe.json`, written);
    await rm(target, { recursive: true, force: true });
    // Another process may have been faster; what it made is the same.
    await rename(made, target).catch(async (error: unknown) => {
      await access(`${target}/recipe.json`).catch(() => Promise.reject(error));
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return target;
}

/** Fetches the packages with their dependencies; apt's state is private, so the host keeps its architectures. */
async function download(
  dir: string,
  options: { readonly architecture: string; readonly recipe: Recipe },
): Promise<string[]> {
  const { architecture, recipe } = options;
  // Only Debian itself: other sources may lack the architecture.
  const newStyle = '/etc/apt/sources.list.d/debian.sources';
  const sources = await access(newStyle).then(
    () => newStyle,
    () => '/etc/apt/sources.list',
  );
  const apt = await privateApt(dir, { sources, architecture });
  await apt('-y', '--no-install-recommends', '--download-only', 'install', ...recipe.packages);
  const files = (await readdir(`${dir}/archives`)).filter((file) => file.endsWith('.deb'));
  return files
    .filter((file) => !recipe.without.includes(file.split('_')[0] ?? ''))
    .map((file) => `${dir}/archives/${file}`);
}

async function unpack(
  files: readonly string[],
  options: { readonly root: string; readonly recipe: Recipe },
): Promise<void> {
  const { root, recipe } = options;
  // Debian merged these directories; its packages still use both names.
  for (const directory of ['bin', 'sbin', 'lib', 'lib64']) {
    await mkdir(`${root}/usr/${directory}`, { recursive: true });
    await symlink(`usr/${directory}`, `${root}/${directory}`);
  }
  await mkdir(`${root}/tmp`);
  await chmod(`${root}/tmp`, 0o1777);
  const exclude = recipe.exclude.map((pattern) => `--exclude='${pattern}'`).join(' ');
  for (const file of files) {
    const extract = `dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink ${exclude}`;
    await run('bash', ['-o', 'pipefail', '-c', extract, 'unpack', file, root]);
  }
  for (const applet of applets.split(' ')) await symlink('busybox', `${root}/usr/bin/${applet}`);
}

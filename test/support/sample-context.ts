/** A context with everything in it that a file system can hold and an image can too, and what of it is ignored. */
import { createHash } from 'node:crypto';
import { chmod, link, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** As it should be in an image, by path. */
export type Listing = Record<string, Listed>;

export type Listed =
  | { readonly type: 'file'; readonly mode: number; readonly digest: string }
  | { readonly type: 'directory'; readonly mode: number }
  | { readonly type: 'symlink'; readonly target: string };

export const plainFiles = 2000;
const perDirectory = 100;

export const ignoreRules = `# comment
.dockerignore
Dockerfile
*.log
!keep.log
**/node_modules
build/*
!build/keep
/docs/**/*.md
!docs/README.md
trailing/\t
`;

const ignored = {
  'debug.log': 'ignored',
  'node_modules/a/index.js': 'ignored',
  'packages/one/node_modules/b.js': 'ignored',
  'build/out.o': 'ignored',
  'build/drop/in.o': 'ignored',
  'docs/guide.md': 'ignored',
  'docs/deep/er/page.md': 'ignored',
  'trailing/file': 'ignored',
};

const odd = {
  'keep.log': 'taken back by a later rule',
  'packages/one/index.js': 'beside an ignored directory',
  'nested/debug.log': 'the rule without ** is for the root only',
  'build/keep/me/in.o': 'below a directory that is taken back',
  'docs/README.md': 'taken back',
  'docs/deep/er/page.txt': 'not a .md',
  'names/ünïcödé – 漢字 🚜': 'unicode',
  'names/e\u0301 decomposed': 'not the same name as its composed form',
  'names/ leading and trailing ': 'spaces',
  'names/two\nlines': 'newline',
  'names/-rf': 'dash',
  'names/--help': 'dashes',
  'names/*[a-z]?': 'pattern characters',
  'names/back\\slash': 'backslash',
  'names/"quotes\' $HOME `id`': 'shell characters',
  'names/.hidden': 'dot',
  'names/tab\there': 'tab',
  'names/%2e%2e': 'percent',
  [`names/${'long'.repeat(63)}`]: '252 bytes',
  'names/empty': '',
  // Two directories with equal contents.
  'twins/one/__init__.py': '',
  'twins/two/__init__.py': '',
};

const modes: Record<string, number> = {
  'modes/none': 0o000,
  'modes/execute-only': 0o111,
  'modes/read-only': 0o444,
  'modes/private': 0o600,
  'modes/all': 0o777,
  'modes/setuid': 0o4755,
  'modes/setgid': 0o2755,
  'modes/all-bits': 0o7777,
};

const directories: Record<string, number> = {
  empty: 0o755,
  'empty-too/inside': 0o755,
  'modes/sticky': 0o1777,
  'modes/setgid-directory': 0o2775,
  'modes/private-directory': 0o700,
  'modes/closed-directory': 0o000,
};

const symlinks: Record<string, string> = {
  'links/relative': '../names/empty',
  'links/absolute': '/etc/hostname',
  'links/dangling': 'nowhere/at all',
  'links/to-directory': '../files/000',
  'links/itself': 'itself',
  'links/out': '../../../../outside',
};

/** Further names of files that come before them. */
const hardlinks: Record<string, string> = {
  'links/hard': 'names/empty',
  'links/hard-too': 'files/003/file-0300.txt',
  'zz/hard': 'files/003/file-0300.txt',
};

export async function writeSampleContext(root: string): Promise<void> {
  const everything = { '.dockerignore': ignoreRules, ...ignored, ...odd, ...generated(), ...withModes() };
  for (const [path, text] of Object.entries(everything)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  for (const path of Object.keys(directories)) await mkdir(join(root, path), { recursive: true });
  await mkdir(join(root, 'links'));
  await mkdir(join(root, 'zz'));
  for (const [path, target] of Object.entries(symlinks)) await symlink(target, join(root, path));
  for (const [path, target] of Object.entries(hardlinks)) await link(join(root, target), join(root, path));
  // Whatever the umask made of them before.
  for (const [path, mode] of Object.entries({ ...modes, ...directories }))
    await chmod(join(root, path), mode);
}

/** What an image should hold of it. */
export function expectedListing(): Listing {
  const listing: Listing = {};
  const contents: Record<string, string> = { ...odd, ...generated(), ...withModes() };
  for (const [path, target] of Object.entries(hardlinks)) contents[path] = contents[target] ?? '';
  for (const [path, text] of Object.entries(contents)) {
    listing[path] = { type: 'file', mode: modes[path] ?? 0o644, digest: digest(text) };
  }
  for (const [path, target] of Object.entries(symlinks)) listing[path] = { type: 'symlink', target };
  for (const [path, mode] of Object.entries(directories)) listing[path] = { type: 'directory', mode };
  for (const path of Object.keys(listing)) {
    for (let parent = dirname(path); parent !== '.'; parent = dirname(parent)) {
      listing[parent] ??= { type: 'directory', mode: 0o755 };
    }
  }
  return listing;
}

export const linkedNames = Object.entries(hardlinks);

export function digest(content: Buffer | string): string {
  return createHash('sha256').update(content).digest('hex');
}

function withModes(): Record<string, string> {
  return Object.fromEntries(Object.keys(modes).map((path) => [path, `content of ${path}`]));
}

/** About 3 MiB in directories of a hundred. */
function generated(): Record<string, string> {
  const files = Array.from({ length: plainFiles }, (_, index) => {
    const directory = String(Math.floor(index / perDirectory)).padStart(3, '0');
    const name = `files/${directory}/file-${String(index).padStart(4, '0')}.txt`;
    return [name, `${name}\n`.repeat(1 + (index % 97))];
  });
  return Object.fromEntries(files);
}

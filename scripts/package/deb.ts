/** A Debian package from what it holds, through dpkg-deb. */
import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import type { DebianPackage } from './contents.ts';
import { maintainer } from './documents.ts';

const run = promisify(execFile);

export interface DebPlace {
  readonly version: string;
  /** A directory for the tree that becomes the package. */
  readonly work: string;
  /** The directory of the package. */
  readonly out: string;
}

/** The name of its file. */
export async function makeDeb(
  { name, architecture, fields, files, copies, links, scripts, conffiles }: DebianPackage,
  { version, work, out }: DebPlace,
): Promise<string> {
  const tree = join(work, name);
  for (const { from, to } of copies) {
    await cp(from, join(tree, to), { recursive: true, dereference: true });
  }
  for (const { path, text, mode = 0o644 } of files) {
    // Debian wants its documents compressed, without the time.
    await put(join(tree, path), { data: path.endsWith('.gz') ? gzipSync(text, { level: 9 }) : text, mode });
  }
  for (const { path, to } of links) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await symlink(to, join(tree, path));
  }
  await plainModes(tree, new Set(files.map(({ path }) => join(tree, path))));
  const control = {
    Package: name,
    Version: version,
    Architecture: architecture,
    Maintainer: maintainer,
    'Installed-Size': `${Math.ceil((await sizeOf(tree)) / 1024)}`,
    Section: 'devel',
    Priority: 'optional',
    ...fields,
  };
  const lines = Object.entries(control).map(([key, value]) => `${key}: ${value}\n`);
  await put(join(tree, 'DEBIAN/control'), { data: lines.join(''), mode: 0o644 });
  const kept = conffiles.map((each) => `${each}\n`).join('');
  await put(join(tree, 'DEBIAN/conffiles'), { data: kept, mode: 0o644 });
  for (const [script, text] of Object.entries(scripts)) {
    await put(join(tree, 'DEBIAN', script), { data: text, mode: 0o755 });
  }
  const file = `${name}_${version}_${architecture}.deb`;
  await run('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', tree, join(out, file)]);
  return file;
}

async function put(path: string, { data, mode }: { data: string | Buffer; mode: number }): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, data);
  await chmod(path, mode);
}

/** Whatever the umask of whoever packs. */
async function plainModes(directory: string, given: ReadonlySet<string>): Promise<void> {
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await plainModes(path, given);
    else if (entry.isFile() && !given.has(path)) {
      await chmod(path, ((await stat(path)).mode & 0o100) === 0 ? 0o644 : 0o755);
    }
  }
}

async function sizeOf(directory: string): Promise<number> {
  let size = 0;
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) size += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return size;
}

/** A shallow checkout of one commit in a temporary directory, made by the git command. */
import { execFile } from 'node:child_process';
import { readFile, realpath, rm, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { promisify } from 'node:util';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import { describeContext, type GitSource } from '../project/context-source.ts';
import { makeScratch } from '../scratch.ts';
import { fileError } from './file-error.ts';
import { gitEnvironment } from './git-environment.ts';
import { gitOrigin } from './git-origin.ts';

export interface GitCheckout extends AsyncDisposable {
  /** Absolute and without links: that of the subdirectory, where one was asked for. */
  readonly path: string;
  /** The content of a small file of it, if it has that. Throws `context-invalid` where a link leads out of the repository. */
  read(name: string): Promise<{ readonly content: Buffer; readonly mtime: bigint } | undefined>;
}

const run = promisify(execFile);
/** What git makes a file has the mode that BuildKit gives it, whatever the umask is here: it is part of the tree. */
const underUmask = ['-c', 'umask 022 && exec git "$@"', 'git'];
/** With which a shell says that there is no such command. */
const commandNotFound = 127;
/** Lines of git's own words that an error shows. */
const maxLines = 3;

/** Throws `context-invalid` naming URL and reference. */
export async function checkOut(source: GitSource, signal: AbortSignal): Promise<GitCheckout> {
  const scratch = await makeScratch('archfarm-git-');
  const root = scratch.path;
  const origin = gitOrigin(source.url);
  const env = { ...gitEnvironment(process.env), ...origin.environment };
  const git = async (...args: readonly string[]): Promise<void> => {
    try {
      await run('/bin/sh', [...underUmask, '-C', root, ...args], {
        signal,
        env,
        maxBuffer: 16 * 1024 * 1024,
      });
    } catch (error) {
      signal.throwIfAborted();
      throw gitError(error, source);
    }
  };
  try {
    await git('init', '--quiet', '--template=');
    await git('fetch', '--quiet', '--depth=1', '--no-tags', '--', source.url, source.ref ?? 'HEAD');
    await git('-c', 'advice.detachedHead=false', 'checkout', '--quiet', 'FETCH_HEAD');
    if (await exists(join(root, '.gitmodules'))) {
      await git('config', 'remote.origin.url', origin.url);
      await git('submodule', '--quiet', 'update', '--init', '--recursive', '--depth=1');
    }
    await rm(join(root, '.git'), { recursive: true, force: true });
    const path = await inside(root, source);
    return {
      path,
      read: (name) => readInside(root, { at: path, name }),
      [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
    };
  } catch (error) {
    await scratch[Symbol.asyncDispose]();
    throw error;
  }
}

async function inside(root: string, source: GitSource): Promise<string> {
  const { subdirectory = '.' } = source;
  const path = await realpath(join(root, subdirectory)).catch(() => undefined);
  const isInside = path !== undefined && (path === root || path.startsWith(root + sep));
  if (isInside && (await stat(path)).isDirectory()) return path;
  throw new ArchfarmError('context-invalid', `no directory ${subdirectory} in ${describeContext(source)}`);
}

/** A link may not lead out: whoever wrote the repository would learn what this machine has. */
async function readInside(
  root: string,
  { at, name }: { readonly at: string; readonly name: string },
): ReturnType<GitCheckout['read']> {
  const path = await realpath(join(at, name)).catch(() => undefined);
  if (path === undefined) return undefined;
  if (!path.startsWith(root + sep)) {
    throw new ArchfarmError('context-invalid', `${JSON.stringify(name)} leads out of the repository`);
  }
  try {
    const { mtimeNs } = await stat(path, { bigint: true });
    return { content: await readFile(path), mtime: mtimeNs };
  } catch (error) {
    throw fileError(error, name);
  }
}

function gitError(error: unknown, source: GitSource): ArchfarmError {
  const what = describeContext(source);
  if (error instanceof Error && 'code' in error && error.code === commandNotFound) {
    return new ArchfarmError('context-invalid', `cannot fetch ${what}: there is no git command`, {
      hint: 'install git, or give a directory',
    });
  }
  const words = error instanceof Error && 'stderr' in error ? String(error.stderr) : messageOf(error);
  const lines = words.split('\n').filter((line) => line.trim() !== '');
  const telling = lines.filter((line) => /^(?:fatal|error|remote): /.test(line));
  const shown = (telling.length > 0 ? telling : lines).slice(0, maxLines).join('; ');
  return new ArchfarmError('context-invalid', `cannot fetch ${what}: ${shown.replaceAll(source.url, what)}`, {
    hint: 'check the URL and the reference; git must reach it without asking for anything',
  });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** The Dockerfile's own small tree: BuildKit reads it apart from the context, so it may lie outside of it. */
import { readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { compareNames, digestOf, encodeDirectory } from '../../shared/context/encoding.ts';
import type { Digest, FileEntry } from '../../shared/context/tree.ts';
import { ArchfarmError, systemCode } from '../../shared/errors.ts';
import { frontendsIn, isDockersOwn } from '../../shared/frontend.ts';
import type { DockerfileSource } from '../project/spec.ts';
import { fileError } from './file-error.ts';
import type { Snapshot } from './snapshot.ts';
import { ignoreFile } from './walk.ts';

export interface DockerfileTree extends Snapshot {
  /** What the Dockerfile is called in the tree. */
  readonly name: string;
  readonly text: string;
  /** The images that it names as its frontend, but for Docker's own: engines differ in which they take. */
  readonly frontends: readonly string[];
}

/** A context that is no directory of this machine. */
export interface DockerfileContext {
  read(name: string): Promise<Omit<SmallFile, 'name'> | undefined>;
  /** What it is called in messages. */
  readonly of: string;
}

/** Throws `context-invalid` naming the path that was looked for. */
export async function dockerfileTree(
  source: DockerfileSource,
  context?: DockerfileContext,
): Promise<DockerfileTree> {
  if (source.type === 'inline') {
    return treeOf('Dockerfile', [{ name: 'Dockerfile', content: Buffer.from(source.text) }]);
  }
  const name = basename(source.path);
  const readFrom = (path: string): Promise<Omit<SmallFile, 'name'> | undefined> =>
    source.type === 'context' && context !== undefined ? context.read(path) : read(path);
  const dockerfile = await readFrom(source.path);
  if (dockerfile === undefined) {
    const where = source.type === 'context' ? ` in ${context?.of ?? 'the context'}` : '';
    throw new ArchfarmError('context-invalid', `No Dockerfile: ${source.path} does not exist${where}`, {
      hint: `name another one with -f, or create it${where || ` in ${dirname(source.path)}`}`,
    });
  }
  checkText(dockerfile.content, source.path);
  const ignore = await readFrom(`${source.path}${ignoreFile}`);
  const files = [{ ...dockerfile, name }];
  return treeOf(name, ignore === undefined ? files : [...files, { ...ignore, name: `${name}${ignoreFile}` }]);
}

/** Engines have odd words for these. */
function checkText(content: Buffer, path: string): void {
  const isUtf16 = /^(?:fffe|feff)/.test(content.toString('hex', 0, 2));
  if (content.length > 0 && !isUtf16) return;
  throw new ArchfarmError(
    'context-invalid',
    `${path} is ${isUtf16 ? 'UTF-16' : 'empty'}, and so no Dockerfile`,
    {
      hint: isUtf16 ? 'save it as UTF-8' : 'name another one with -f',
    },
  );
}

interface SmallFile {
  readonly name: string;
  readonly content: Buffer;
}

/** A Dockerfile may be a link; what it leads to is what counts. */
async function read(path: string): Promise<Omit<SmallFile, 'name'> | undefined> {
  try {
    return { content: await readFile(path) };
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined;
    throw fileError(error, path);
  }
}

function treeOf(name: string, files: readonly SmallFile[]): DockerfileTree {
  const sorted = files.toSorted((left, right) => compareNames(left.name, right.name));
  const entries = sorted.map((file): FileEntry => ({
    type: 'file',
    name: file.name,
    mode: 0o644,
    size: file.content.length,
    digest: digestOf(file.content),
  }));
  const { digest, record } = encodeDirectory({ entries });
  const dockerfile = files.find((file) => file.name === name)?.content ?? Buffer.alloc(0);
  const text = dockerfile.toString('utf8');
  return {
    name,
    text,
    frontends: frontendsIn(text).filter((frontend) => !isDockersOwn(frontend)),
    root: digest,
    directories: new Map([[digest, record]]),
    // No build sees when its Dockerfile was written.
    allTimes: new Map(),
    contents: new Map<Digest, Buffer>(sorted.map(({ content }) => [digestOf(content), content])),
    recipes: new Map(),
    entries: sorted.length,
    files: sorted.length,
    bytes: entries.reduce((sum, entry) => sum + entry.size, 0),
    warnings: [],
  };
}

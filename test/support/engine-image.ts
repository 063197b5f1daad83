/** What an image on an engine holds, read from the archive that `docker save` makes. */
import { request, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';
import { digest } from './sample-context.ts';

export interface ImageEntry {
  readonly type: string;
  readonly mode: number;
  /** Whole seconds since 1970; not of directories, which BuildKit of Docker 20.10 gives the time of the build. */
  readonly mtime?: number;
  /** Of a symbolic link. */
  readonly target?: string;
  /** Hexadecimal SHA-256 of a file's content. */
  readonly digest?: string;
  /** The first name of the file, for all of its names where it has several. */
  readonly first?: string;
}

export type ImageTree = ReadonlyMap<string, ImageEntry>;

/** Entries below a directory of an image with one layer, by path. */
export async function imageTree(
  engine: { readonly host: string },
  image: string,
  directory: string,
): Promise<ImageTree> {
  const entries = new Map<string, ImageEntry>();
  const archive = extract();
  const reading = (async () => {
    for await (const file of archive) {
      if (!file.header.name.endsWith('/layer.tar')) {
        file.resume();
        continue;
      }
      const layer = extract();
      await Promise.all([readLayer(layer, entries), pipeline(file, layer)]);
    }
  })();
  await Promise.all([reading, pipeline(await savedImage(engine.host, image), archive)]);
  return withLinkGroups(below(entries, directory));
}

/** One line an entry, in order: what two images are compared by. */
export function described(tree: ImageTree): string[] {
  return [...tree]
    .map(([path, { type, mode, mtime, target, digest: content, first }]) =>
      [
        `${JSON.stringify(path)} ${type} ${mode.toString(8)}`,
        ...(mtime === undefined ? [] : [`at ${mtime}`]),
        ...(target === undefined ? [] : [`to ${JSON.stringify(target)}`]),
        ...(content === undefined ? [] : [content.slice(0, 16)]),
        ...(first === undefined ? [] : [`linked to ${JSON.stringify(first)}`]),
      ].join(' '),
    )
    .toSorted();
}

function savedImage(host: string, image: string): Promise<IncomingMessage> {
  const socketPath = host.replace('unix://', '');
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: `/images/${image}/get`, agent: false }, (answer) => {
      if (answer.statusCode === 200) resolve(answer);
      else reject(new Error(`no archive of ${image}: status ${answer.statusCode}`));
    });
    asked.once('error', reject);
    asked.end();
  });
}

async function readLayer(layer: ReturnType<typeof extract>, entries: Map<string, ImageEntry>): Promise<void> {
  for await (const entry of layer) {
    const { header } = entry;
    const content = await buffer(entry);
    entries.set(header.name.replace(/\/$/, ''), {
      type: header.type ?? 'none',
      mode: header.mode & 0o7777,
      ...(header.type === 'directory' ? {} : { mtime: Math.floor(mtimeOf(header)) }),
      ...(header.type === 'symlink' ? { target: header.linkname ?? '' } : {}),
      ...(header.type === 'file' ? { digest: digest(content) } : {}),
      ...(header.type === 'link' ? { first: header.linkname ?? '' } : {}),
    });
  }
}

/** Times before 1970 and fractions are in extended headers only. */
function mtimeOf(header: Header): number {
  const pax: unknown = Reflect.get(header, 'pax');
  const extended: unknown = typeof pax === 'object' && pax !== null ? Reflect.get(pax, 'mtime') : undefined;
  return typeof extended === 'string' ? Number(extended) : (header.mtime?.getTime() ?? 0) / 1000;
}

function below(entries: ReadonlyMap<string, ImageEntry>, directory: string): Map<string, ImageEntry> {
  const prefix = `${directory}/`;
  const found = new Map<string, ImageEntry>();
  for (const [path, entry] of entries) {
    if (!path.startsWith(prefix)) continue;
    const { first, ...rest } = entry;
    found.set(path.slice(prefix.length), {
      ...rest,
      ...(first === undefined ? {} : { first: first.slice(prefix.length) }),
    });
  }
  return found;
}

/** A further name gets what the first has, and the first is told to have others. */
function withLinkGroups(entries: Map<string, ImageEntry>): ImageTree {
  for (const [path, entry] of entries) {
    if (entry.first === undefined) continue;
    const file = entries.get(entry.first);
    if (file === undefined) throw new Error(`${path} is linked to ${entry.first}, which is not there`);
    const linked = { ...file, first: entry.first };
    entries.set(entry.first, linked);
    entries.set(path, linked);
  }
  return entries;
}

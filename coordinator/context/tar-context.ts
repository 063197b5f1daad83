/** Reads a tar archive, plain or gzip: its contents are spooled to a temporary directory as they come. */
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract, type Extract, type Header } from 'tar-stream';
import { Cleanup } from '../../shared/cleanup.ts';
import { buffers } from '../../shared/context/buffers.ts';
import type { Matcher } from '../../shared/context/ignore.ts';
import { checkLimit, defaultLimits, type ContextLimits } from '../../shared/context/limits.ts';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import { makeScratch } from '../scratch.ts';
import { readPart, type ContextFile } from './context-file.ts';
import type { TreeFile } from './file-table.ts';
import type { Snapshot } from './snapshot.ts';
import { Spool } from './spool.ts';
import { peek } from './stdin.ts';
import { refused, TarTree, type TarFile, type TarNode } from './tar-tree.ts';
import { TreeWriter } from './tree-writer.ts';

/** Archives of Unix Version 7 have no word in their headers to be known by, but a checksum; unknown to the types. */
const anyFormat: object = { allowUnknownFormat: true };
const gzip = Buffer.from([0x1f, 0x8b]);

export interface TarContext extends AsyncDisposable {
  /** The content of a small file of it, if it has that. */
  read(name: string): Promise<{ readonly content: Buffer; readonly mtime: bigint } | undefined>;
  /** What the ignore rules leave of it. */
  snapshot(matcher: Matcher): Snapshot;
}

type Entry = AsyncIterable<unknown> & { readonly header: Header; resume(): unknown };

export interface TarOptions {
  /** What the archive is called in messages. */
  readonly name: string;
  readonly limits?: ContextLimits | undefined;
  readonly signal: AbortSignal;
}

/** Throws `context-invalid` or `context-limit` naming the archive or the entry at fault. */
export async function readTar(input: AsyncIterable<Buffer>, options: TarOptions): Promise<TarContext> {
  const cleanup = new Cleanup();
  try {
    const directory = await makeScratch('archfarm-tar-');
    cleanup.defer(() => directory[Symbol.asyncDispose]());
    const spool = await Spool.create(join(directory.path, 'contents'));
    cleanup.defer(() => spool[Symbol.asyncDispose]());
    const { limits = defaultLimits } = options;
    const reader = new TarReader(spool, limits);
    await readEntries(input, reader, options);
    await spool.flush();
    const { tree } = reader;
    return {
      async read(name) {
        const found = tree.file(name);
        if (found === undefined) return undefined;
        const content = await readPart(spool.file(found.content, name), Buffer.alloc(found.size));
        return { content, mtime: found.mtime };
      },
      snapshot(matcher) {
        const writer = new TreeWriter(limits);
        const contents = tree.write(writer, matcher);
        for (const [number, content] of contents.entries()) writer.setDigest(number, spool.digest(content));
        const fileOf = ({ path }: TreeFile, number: number): ContextFile =>
          spool.file(contents[number] ?? 0, path);
        return { ...writer.finish(fileOf), recipes: spool.recipes, warnings: [] };
      },
      [Symbol.asyncDispose]: () => cleanup[Symbol.asyncDispose](),
    };
  } catch (error) {
    await cleanup[Symbol.asyncDispose]();
    throw error;
  }
}

async function readEntries(
  input: AsyncIterable<Buffer>,
  reader: TarReader,
  { name, signal }: TarOptions,
): Promise<void> {
  const archive = extract(anyFormat);
  // An entry that is refused ends the archive, and so what feeds it; the first failure is the one that counts.
  const failures: unknown[] = [];
  const note = (error: unknown): void => void failures.push(error);
  const feeding = feed(input, archive, signal).catch(note);
  try {
    for await (const entry of archive) await reader.take(entry);
  } catch (error) {
    note(error);
    archive.destroy();
  }
  await feeding;
  signal.throwIfAborted();
  const known = failures.find((failure) => failure instanceof ArchfarmError);
  if (known !== undefined) throw known;
  if (failures.length > 0) throw notAnArchive(name, failures[0]);
  if (reader.entries === 0) throw notAnArchive(name, 'it is empty');
}

async function feed(input: AsyncIterable<Buffer>, archive: Extract, signal: AbortSignal): Promise<void> {
  const { start, all } = await peek(input, { bytes: gzip.length, signal });
  const bytes = Readable.from(all);
  if (start.subarray(0, gzip.length).equals(gzip)) {
    await pipeline(bytes, createGunzip(), archive, { signal });
  } else await pipeline(bytes, archive, { signal });
}

class TarReader {
  readonly tree = new TarTree();
  entries = 0;
  #bytes = 0;
  readonly #spool: Spool;
  readonly #limits: ContextLimits;

  constructor(spool: Spool, limits: ContextLimits) {
    this.#spool = spool;
    this.#limits = limits;
  }

  async take(entry: Entry): Promise<void> {
    const { header } = entry;
    // What tar-stream makes of the size -1.
    if (Object.is(header.size, -0)) throw refused(header.name, 'its size is negative');
    checkLimit(this.#limits, { limit: 'entries', value: ++this.entries });
    checkLimit(this.#limits, {
      limit: 'pathBytes',
      value: Buffer.byteLength(header.name),
      where: header.name,
    });
    this.tree.add(header.name, await this.#node(entry));
    entry.resume();
  }

  async #node(entry: Entry): Promise<TarNode> {
    const { header } = entry;
    const attributes = { mode: (header.mode ?? 0o644) & 0o7777, mtime: mtimeOf(header) };
    if ([...extensionsOf(header).keys()].some((key) => key.startsWith('GNU.sparse.'))) {
      throw refused(header.name, 'it is a sparse file');
    }
    switch (header.type) {
      case 'directory':
        return { type: 'directory', ...attributes, children: new Map() };
      case 'symlink':
        return { type: 'symlink', ...attributes, target: header.linkname ?? '' };
      case 'link': {
        const first = this.tree.leaf(header.linkname ?? '');
        if (first !== undefined) return first;
        throw refused(
          header.name,
          `it is a link to ${JSON.stringify(header.linkname)}, which did not come before`,
        );
      }
      case 'file':
      case 'contiguous-file':
        return this.#store(entry, attributes);
      default:
        throw refused(
          header.name,
          `it is no file, directory or link but ${header.type ?? 'of unknown type'}`,
        );
    }
  }

  async #store(entry: Entry, attributes: Pick<TarFile, 'mode' | 'mtime'>): Promise<TarFile> {
    const { size } = entry.header;
    this.#bytes += size;
    checkLimit(this.#limits, { limit: 'bytes', value: this.#bytes });
    const content = await this.#spool.add(buffers(entry), size);
    return { type: 'file', ...attributes, content, size: this.#spool.size(content) };
  }
}

/** PAX headers hold decimal seconds; the plain header whole ones. */
function mtimeOf(header: Header): bigint {
  const text = String(extensionsOf(header).get('mtime'));
  const [, sign, seconds = '', fraction = ''] = /^(-?)(\d{1,10})(?:\.(\d*))?$/.exec(text) ?? [];
  if (seconds === '') return BigInt(header.mtime?.getTime() ?? 0) * 1_000_000n;
  const nanoseconds = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
  return sign === '-' ? -nanoseconds : nanoseconds;
}

/** The PAX header's records. */
function extensionsOf({ pax }: Header): ReadonlyMap<string, unknown> {
  return new Map(typeof pax === 'object' && pax !== null ? Object.entries(pax) : []);
}

function notAnArchive(name: string, why: unknown): ArchfarmError {
  return new ArchfarmError('context-invalid', `${name} is not a whole tar archive: ${messageOf(why)}`, {
    hint: 'give a tar archive, plain or compressed with gzip',
  });
}

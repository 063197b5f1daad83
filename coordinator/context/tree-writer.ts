/**
 * Makes a tree of entries that come in its order, each directory's between `enter` and `leave`. It is kept as the records
 * that will be sent, in which digests are filled in when they are known: 200,000 files take some 25 MB.
 */
import { digestOf } from '../../shared/context/encoding.ts';
import { checkLimit, type ContextLimits } from '../../shared/context/limits.ts';
import type { Digest, TimesId, TreeId } from '../../shared/context/tree.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import type { ContextFile } from './context-file.ts';
import { DirectoryTable, joined } from './directory-table.ts';
import { DirectoryWriter, unknownDigest } from './directory-writer.ts';
import { FileTable, type TreeFile } from './file-table.ts';
import { recordOf, timesOf } from './record-entry.ts';
import { RowLookup, type DigestLookup } from './row-lookup.ts';

export interface EntryAttributes {
  readonly name: string;
  /** The twelve permission bits. */
  readonly mode: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
}

export interface Tree extends TreeId {
  /** Records of all directories. */
  readonly directories: DigestLookup<Buffer>;
  /** Those of all directories, where there are any. */
  readonly allTimes: DigestLookup<Buffer>;
  /** One file for each content, or the content itself. */
  readonly contents: DigestLookup<ContextFile | Buffer>;
  /** Files, directories and links together, without the root. */
  readonly entries: number;
  /** Not counting further names of a file. */
  readonly files: number;
  /** Of all files. */
  readonly bytes: number;
}

interface OpenDirectory {
  readonly number: number;
  readonly pathBytes: number;
}

export class TreeWriter {
  readonly #limits: ContextLimits;
  readonly #directories = new DirectoryTable();
  readonly #files = new FileTable(this.#directories);
  /** One for each level that there ever was. */
  readonly #writers: DirectoryWriter[] = [];
  readonly #open: OpenDirectory[] = [];
  #entries = 0;
  #bytes = 0;
  #known = 0;

  constructor(limits: ContextLimits) {
    this.#limits = limits;
    this.#begin('', { number: 0, pathBytes: -1 });
  }

  /** Throws `context-limit`, as all that adds to the tree. */
  enter(name: string): void {
    const { number, pathBytes } = this.#current;
    const path = joined(this.#writer.path, name);
    this.#begin(path, { number, pathBytes: pathBytes + 1 + Buffer.byteLength(name) });
  }

  /** Ends the directory that was entered last; with `keepEmpty: false` it is gone when it has no entries. */
  leave(
    { name, mode, mtime }: EntryAttributes,
    { keepEmpty = true }: { readonly keepEmpty?: boolean } = {},
  ): void {
    const writer = this.#writer;
    const { number } = this.#current;
    this.#open.pop();
    if (writer.count === 0 && !keepEmpty) return this.#directories.drop();
    this.#count(name);
    const entry = { type: 'directory', name, mode, digest: unknownDigest } as const;
    const { directories: index } = this.#writer;
    const { directories } = writer;
    const digestStart = this.#writer.add(entry, mtime);
    this.#directories.finish(number, { bytes: writer.finish(), directories, digestStart, index });
  }

  /** Gives the number by which the file's digest is to be told later. */
  file({ name, mode, mtime, size }: EntryAttributes & { readonly size: number }): number {
    this.#count(name);
    this.#bytes += size;
    checkLimit(this.#limits, { limit: 'bytes', value: this.#bytes });
    const writer = this.#writer;
    const entry = writer.count;
    const digestStart = writer.add({ type: 'file', name, mode, size, digest: unknownDigest }, mtime);
    return this.#files.add({ directory: this.#current.number, entry, digestStart });
  }

  /** One more name of a file that was written before. */
  hardlink({ name, mtime }: Omit<EntryAttributes, 'mode'>, first: number): void {
    this.#count(name);
    this.#writer.add({ type: 'hardlink', name, target: this.#files.path(first) }, mtime);
  }

  symlink({ name, mtime }: Omit<EntryAttributes, 'mode'>, target: string): void {
    this.#count(name);
    this.#writer.add({ type: 'symlink', name, target }, mtime);
  }

  /** To be called once for each file. */
  setDigest(file: number, digest: Digest): void {
    this.#files.setDigest(file, digest);
    this.#known += 1;
  }

  /** `fileOf` says where to read a file, given by its number. */
  finish(fileOf: (file: TreeFile, number: number) => ContextFile): Tree {
    const [directories, files] = [this.#directories, this.#files];
    if (this.#known !== files.count || this.#open.length !== 1) {
      throw new ArchfarmError('internal', 'a tree was finished before all of its files were hashed');
    }
    const { directories: inRoot } = this.#writer;
    directories.finish(0, { bytes: this.#writer.finish(), directories: inRoot, digestStart: 0, index: 0 });
    this.#writers.length = 0;
    // Those further down have the higher numbers.
    for (let number = directories.count - 1; number > 0; number--) {
      const bytes = directories.bytes(number);
      directories.setHexDigest(number, hexOf(digestOf(recordOf(bytes))));
      directories.setTimes(number, timesId(bytes));
    }
    const root = digestOf(recordOf(directories.bytes(0)));
    const times = timesId(directories.bytes(0));
    return {
      root,
      times,
      directories: new RowLookup({
        count: directories.count,
        digest: (number) => (number === 0 ? root : `sha256:${directories.hexDigest(number)}`),
        value: (number) => recordOf(directories.bytes(number)),
      }),
      allTimes: new RowLookup({
        count: directories.count,
        digest: (number) => (number === 0 ? times.digest : directories.timesDigest(number)),
        value: (number) => timesOf(directories.bytes(number)),
      }),
      contents: new RowLookup({
        count: files.count,
        digest: (number) => files.digest(number),
        value: (number) => fileOf(files.file(number), number),
      }),
      entries: this.#entries,
      files: files.count,
      bytes: this.#bytes,
    };
  }

  get #current(): OpenDirectory {
    const current = this.#open.at(-1);
    if (current === undefined) throw new RangeError('left more directories than were entered');
    return current;
  }

  get #writer(): DirectoryWriter {
    const writer = this.#writers[this.#open.length - 1];
    if (writer === undefined) throw new RangeError('left more directories than were entered');
    return writer;
  }

  #begin(path: string, { number: parent, pathBytes }: OpenDirectory): void {
    const writer = (this.#writers[this.#open.length] ??= new DirectoryWriter());
    writer.begin(path);
    this.#open.push({ number: this.#directories.add(parent, writer), pathBytes });
  }

  /** An entry of the directory that was entered last. */
  #count(name: string): void {
    const nameBytes = Buffer.byteLength(name);
    const pathBytes = this.#current.pathBytes + 1 + nameBytes;
    this.#entries += 1;
    if (
      this.#entries <= this.#limits.entries &&
      nameBytes <= this.#limits.nameBytes &&
      pathBytes <= this.#limits.pathBytes
    )
      return;
    const where = joined(this.#writer.path, name);
    checkLimit(this.#limits, { limit: 'entries', value: this.#entries });
    checkLimit(this.#limits, { limit: 'nameBytes', value: nameBytes, where });
    checkLimit(this.#limits, { limit: 'pathBytes', value: pathBytes, where });
  }
}

function timesId(bytes: Buffer): TimesId {
  const times = timesOf(bytes);
  return { digest: digestOf(times), size: times.length };
}

function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}

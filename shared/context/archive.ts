/** A tar over a virtual file system, whose names are those of items and whose files are contents from anywhere. */
import { Readable } from 'node:stream';
import tarFs from 'tar-fs';
import { pack } from 'tar-stream';
import { buffers } from './buffers.ts';
import { WholeContent } from './whole-content.ts';

export interface ArchivedContent {
  readonly size: number;
  /** Must give exactly that many bytes or throw. */
  readonly chunks: AsyncIterable<Buffer>;
}

/** Exists nowhere: tar-fs wants its entries to lie in some directory. */
const archiveRoot = '/contents';
const mtime = new Date(0);

export class Archive {
  /** What is read while it is packed, in the order in which that happens; the first is under way. */
  readonly #streams: string[] = [];
  readonly #contents: ReadonlyMap<string, ArchivedContent>;
  #reading = false;

  constructor(contents: ReadonlyMap<string, ArchivedContent>) {
    this.#contents = contents;
  }

  /** The one that is being read. */
  get current(): string | undefined {
    return this.#reading ? this.#streams[0] : undefined;
  }

  /** What no byte was sent of when reading the current one failed. */
  get left(): readonly string[] {
    return this.#streams.slice(1);
  }

  bytes(): AsyncIterable<Buffer> {
    const archive = pack();
    for (const [name, { chunks }] of this.#contents) {
      // A file system and a stream for each cost far more than most of them.
      if (chunks instanceof WholeContent) archive.entry({ name, mtime }, chunks.bytes);
      else this.#streams.push(name);
    }
    if (this.#streams.length === 0) {
      archive.finalize();
    } else {
      const options = { pack: archive, fs: this.#files(), entries: [...this.#streams], umask: 0 };
      tarFs.pack(archiveRoot, options);
    }
    return buffers(archive);
  }

  #files(): object {
    return {
      lstat: (path: string, done: (error: Error | null, stat?: object) => void): void => {
        const size = this.#contents.get(nameOf(path))?.size;
        if (size === undefined) return done(new Error(`${path} was not wanted`));
        return done(null, {
          size,
          mode: 0o644,
          uid: 0,
          gid: 0,
          mtime,
          isDirectory: () => false,
          isFile: () => true,
          isSymbolicLink: () => false,
          isSocket: () => false,
        });
      },
      createReadStream: (path: string): Readable =>
        Readable.from(this.#read(nameOf(path)), { objectMode: false }),
    };
  }

  async *#read(name: string): AsyncGenerator<Buffer> {
    this.#reading = true;
    yield* this.#contents.get(name)?.chunks ?? [];
    this.#reading = false;
    this.#streams.shift();
  }
}

function nameOf(path: string): string {
  return path.slice(archiveRoot.length + 1);
}

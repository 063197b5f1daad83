/**
 * The sending side of BuildKit's file sync: it is told what a tree holds and asks for the files that differ from
 * its copy. It may well ask while entries are still coming, so both directions run at once.
 */
import type { ContextSource, Digest, FileEntry } from '../../shared/context/tree.ts';
import { select, type SelectedEntry } from '../../shared/context/select.ts';
import { untilAborted } from '../../shared/abort.ts';
import { messageOf } from '../../shared/errors.ts';
import type { GrpcCall, GrpcMethods } from './grpc.ts';
import type { MtimeLease } from './mtimes.ts';
import * as packet from './packet.ts';
import { WorkPool } from './work-pool.ts';

export interface FileSyncOptions {
  /** By the names that BuildKit asks for. */
  readonly trees: { readonly context: Digest; readonly dockerfile: Digest };
  readonly source: ContextSource;
  readonly mtimes: MtimeLease;
  /** Bytes of contents handed to the engine, as they go. */
  readonly onBytes: (bytes: number) => void;
}

/** Files read at once: enough to hide the way to the coordinator, few enough to bound what is in memory. */
const parallelReads = 64;

/** fsutil's own sender uses half of it; a message must stay under 4 MiB. */
const maxDataBytes = 64 << 10;

/** Entries told at once: each batch waits for the record of modification times. */
const batchEntries = 1024;

export function fileSyncMethods(options: FileSyncOptions): GrpcMethods {
  return {
    '/moby.filesync.v1.FileSync/DiffCopy': async (call) => {
      try {
        await new TreeSender(call, options).run();
      } catch (error) {
        // A sender that ends without a word leaves the engine waiting for ever.
        if (!call.signal.aborted) await call.send([packet.errorPacket(messageOf(error))]);
        throw error;
      }
    },
  };
}

class TreeSender {
  readonly #call: GrpcCall;
  readonly #options: FileSyncOptions;
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;
  readonly #reads: WorkPool;
  /** By place among the entries told, which is how the engine asks for one. */
  readonly #files: (FileEntry | undefined)[] = [];
  /** Files, as they were told: a hard link must agree with the file it names in everything. */
  readonly #told = new Map<string, Pick<packet.StatFields, 'mode' | 'size' | 'mtime'>>();

  constructor(call: GrpcCall, options: FileSyncOptions) {
    this.#call = call;
    this.#options = options;
    this.#signal = AbortSignal.any([call.signal, this.#failed.signal]);
    this.#reads = new WorkPool({ limit: parallelReads, onFailure: (error) => this.#failed.abort(error) });
  }

  async run(): Promise<void> {
    try {
      await untilAborted(Promise.all([this.#tell(), this.#answer()]), this.#signal);
      await this.#call.send([packet.finishPacket]);
    } finally {
      this.#failed.abort();
    }
  }

  async #tell(): Promise<void> {
    const { trees, source, mtimes } = this.#options;
    const name = texts(this.#call, 'dir-name')[0] ?? 'context';
    if (name !== 'context' && name !== 'dockerfile')
      throw new Error(`the build has no context named ${name}`);
    const selection = {
      followPaths: texts(this.#call, 'followpaths'),
      includePatterns: texts(this.#call, 'include-patterns'),
      excludePatterns: texts(this.#call, 'exclude-patterns'),
    };
    let batch: Buffer[] = [];
    for await (const selected of select(trees[name], selection, source, this.#signal)) {
      batch.push(this.#stat(name, selected));
      this.#files.push(selected.entry.type === 'file' ? selected.entry : undefined);
      if (batch.length < batchEntries) continue;
      await mtimes.flush();
      await this.#call.send(batch);
      batch = [];
    }
    await mtimes.flush();
    await this.#call.send([...batch, packet.endOfStats]);
  }

  #stat(tree: string, { path, entry, mtime }: SelectedEntry): Buffer {
    const { mtimes } = this.#options;
    switch (entry.type) {
      case 'file': {
        const { mode, size, digest } = entry;
        const file = {
          mode: packet.goMode('file', mode),
          size,
          mtime: mtimes.serve(`${tree}/${path}`, { mode, size, digest, mtime }),
        };
        this.#told.set(path, file);
        return packet.statPacket({ path, ...file });
      }
      case 'hardlink': {
        const file = this.#told.get(entry.target);
        if (file === undefined) throw new Error(`${path} is a link to ${entry.target}, which is not sent`);
        return packet.statPacket({ path, ...file, linkname: entry.target });
      }
      case 'directory':
        return packet.statPacket({ path, mode: packet.goMode('directory', entry.mode), mtime });
      case 'symlink':
        return packet.statPacket({
          path,
          mode: packet.goMode('symlink', 0o777),
          mtime,
          // As lstat gives it, which is what the engine compares with.
          size: Buffer.byteLength(entry.target),
          linkname: entry.target,
        });
      default:
        return entry satisfies never;
    }
  }

  async #answer(): Promise<void> {
    for await (const message of this.#call.messages) {
      const asked = packet.decodeRequest(message);
      switch (asked.type) {
        case 'request':
          // Never waits here: an engine whose questions are not read stops reading our answers.
          this.#reads.add(() => this.#send(asked.id));
          break;
        case 'finish':
          return await this.#reads.idle();
        case 'error':
          throw new Error(asked.text);
        default:
          asked satisfies never;
      }
    }
    throw new Error('the engine ended the file sync before it had all files');
  }

  async #send(id: number): Promise<void> {
    this.#signal.throwIfAborted();
    const file = this.#files[id];
    if (file === undefined) throw new Error(`the engine asked for entry ${id}, which is no file`);
    const chunks = await this.#options.source.blob(file.digest, file.size, this.#signal);
    for await (const chunk of chunks) {
      for (let start = 0; start < chunk.length; start += maxDataBytes) {
        const data = chunk.subarray(start, start + maxDataBytes);
        await this.#call.send([packet.dataPacket(id, data)]);
        this.#options.onBytes(data.length);
      }
    }
    await this.#call.send([packet.dataPacket(id)]);
  }
}

/** Header values are UTF-8 as it is (Node gives bytes), or percent-encoded by engines that say so. */
function texts(call: GrpcCall, name: string): string[] {
  const values = call.metadata(name).map((value) => Buffer.from(value, 'latin1').toString('utf8'));
  return call.metadata(`${name}-encoded`).length === 0 ? values : values.map(decodeURIComponent);
}

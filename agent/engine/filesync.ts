/**
 * The sending side of BuildKit's file sync: it is told what a tree holds and asks for the files that differ from
 * its copy. It may well ask while entries are still coming, so both directions run at once.
 */
import type { ContextSource, Digest, TreeId } from '../../shared/context/tree.ts';
import { select, type SelectedEntry, type Selection } from '../../shared/context/select.ts';
import { untilAborted } from '../../shared/abort.ts';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import type { GrpcCall, GrpcMethods } from './grpc.ts';
import type { MtimeLease } from './mtimes.ts';
import * as packet from './packet.ts';
import { ToldFiles } from './told-files.ts';
import { WorkPool } from './work-pool.ts';

export interface FileSyncOptions {
  /** By the names that BuildKit asks for. */
  readonly trees: { readonly context: TreeId; readonly dockerfile: TreeId };
  readonly source: ContextSource;
  readonly mtimes: MtimeLease;
  /** Formatted; named in errors. */
  readonly platform: string;
  /** Bytes of contents handed to the engine, as they go. */
  readonly onBytes: (bytes: number) => void;
  /** The engine opens a tree, and will ask for nothing that it does not select. */
  readonly onSelection?: ((root: Digest, selection: Selection) => void) | undefined;
}

/** Files read at once: enough to hide the way to the coordinator. */
const parallelReads = 64;

/** Bounds what of their contents is in memory, of which large ones come in chunks of up to 2 MiB. */
const maxReadBytes = 32 << 20;
const maxBytesOfOne = 4 << 20;

/** fsutil's own sender uses half of it; a message must stay under 4 MiB. */
const maxDataBytes = 64 << 10;

/** Entries told at once: each batch waits for the record of modification times, later ones share more of that. */
const firstBatch = 512;
const maxBatch = 16_384;

export function fileSyncMethods(options: FileSyncOptions): GrpcMethods {
  return {
    '/moby.filesync.v1.FileSync/DiffCopy': async (call) => {
      try {
        await new TreeSender(call, options).run();
      } catch (error) {
        // A sender that ends without a word leaves the engine waiting for ever.
        if (!call.signal.aborted) call.post([packet.errorPacket(messageOf(error))]);
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
  readonly #reads: WorkPool<number>;
  readonly #told = new ToldFiles();

  #walk: ((signal: AbortSignal) => AsyncIterable<SelectedEntry>) | undefined;
  /** The first content that cannot be had ends the sync; others that fail with it are not looked up. */
  #unreadable: Promise<ArchfarmError> | undefined;

  constructor(call: GrpcCall, options: FileSyncOptions) {
    this.#call = call;
    this.#options = options;
    this.#signal = AbortSignal.any([call.signal, this.#failed.signal]);
    this.#reads = new WorkPool<number>({
      limit: parallelReads,
      maxWeight: maxReadBytes,
      weigh: (id) => this.#weigh(id),
      run: (id) => this.#send(id),
      onFailure: (error) => this.#failed.abort(error),
    });
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
    this.#options.onSelection?.(trees[name].root, selection);
    this.#walk = (signal) => select(trees[name], selection, source, signal);
    let batch: Buffer[] = [];
    let entries = firstBatch;
    for await (const selected of this.#walk(this.#signal)) {
      batch.push(this.#stat(name, selected));
      if (batch.length < entries) continue;
      await mtimes.flush();
      await this.#call.send(batch);
      batch = [];
      entries = Math.min(entries * 2, maxBatch);
    }
    await mtimes.flush();
    await this.#call.send([...batch, packet.endOfStats]);
  }

  /** Of the next entry; notes what is told of it. */
  #stat(tree: string, { path, entry, mtime }: SelectedEntry): Buffer {
    const { mtimes } = this.#options;
    if (entry.type === 'file') {
      const way = mtimes.serve(`${tree}/${path}`, { ...entry, mtime });
      this.#told.addFile(way);
      return this.#fileStat(path, way);
    }
    this.#told.addOther();
    switch (entry.type) {
      case 'hardlink': {
        // It must agree with the file it names in everything, also where a build beside this one told that otherwise.
        for (const way of mtimes.ways.history(`${tree}/${entry.target}`)) {
          if (this.#told.isTold(way)) return this.#fileStat(path, way, entry.target);
        }
        throw new Error(`${path} is a link to ${entry.target}, which is not sent`);
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

  #fileStat(path: string, way: number, linkname = ''): Buffer {
    const { ways } = this.#options.mtimes;
    return packet.statPacket({
      path,
      mode: packet.goMode('file', ways.mode(way)),
      size: ways.bytes(way),
      mtime: ways.mtime(way),
      linkname,
    });
  }

  async #answer(): Promise<void> {
    for await (const message of this.#call.messages) {
      const asked = packet.decodeRequest(message);
      switch (asked.type) {
        case 'request':
          // Never waits here: an engine whose questions are not read stops reading our answers.
          this.#reads.add(asked.id);
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

  #weigh(id: number): number {
    const way = this.#told.wayOf(id);
    return way === undefined ? 0 : Math.min(this.#options.mtimes.ways.bytes(way), maxBytesOfOne);
  }

  async #send(id: number): Promise<void> {
    this.#signal.throwIfAborted();
    const way = this.#told.wayOf(id);
    if (way === undefined) throw new Error(`the engine asked for entry ${id}, which is no file`);
    try {
      await this.#sendContent(id, way);
    } catch (error) {
      if (this.#signal.aborted) throw error;
      throw await (this.#unreadable ??= this.#nameUnreadable(error, id));
    }
  }

  async #sendContent(id: number, way: number): Promise<void> {
    const { source, mtimes } = this.#options;
    const chunks = await source.blob(mtimes.ways.digest(way), mtimes.ways.bytes(way), this.#signal);
    for await (const chunk of chunks) {
      for (let start = 0; start < chunk.length; start += maxDataBytes) {
        const data = chunk.subarray(start, start + maxDataBytes);
        await this.#call.send([packet.dataPacket(id, data)]);
        this.#options.onBytes(data.length);
      }
    }
    await this.#call.send([packet.endOfFile(id)]);
  }

  /** Paths are not kept for this: the walk that told them finds it again. */
  async #nameUnreadable(error: unknown, id: number): Promise<ArchfarmError> {
    const { code, hint } =
      error instanceof ArchfarmError ? error : { code: 'internal' as const, hint: undefined };
    let index = 0;
    for await (const { path } of this.#walk?.(this.#call.signal) ?? []) {
      if (index++ !== id) continue;
      const what = messageOf(error);
      const { platform } = this.#options;
      const isNamed = what.includes(JSON.stringify(path));
      const message = isNamed ? `${what} for ${platform}` : `${path} for ${platform}: ${what}`;
      return new ArchfarmError(code, message, { hint, cause: error });
    }
    return new ArchfarmError(code, messageOf(error), { hint, cause: error });
  }
}

/** Header values are UTF-8 as it is (Node gives bytes), or encoded as in a query by engines that say so. */
function texts(call: GrpcCall, name: string): string[] {
  const [encoded = ''] = call.metadata(`${name}-encoded`);
  const values = call.metadata(name);
  // What Go takes for true.
  const bytes = /^(?:1|t|T|true|TRUE|True)$/.test(encoded) ? values.map(queryUnescaped) : values;
  return bytes.map((value) => Buffer.from(value, 'latin1').toString('utf8'));
}

/** Of what is no such encoding Go makes nothing, without a complaint. */
function queryUnescaped(bytes: string): string {
  if (/%(?![\da-f]{2})/i.test(bytes)) return '';
  return bytes
    .replaceAll('+', ' ')
    .replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

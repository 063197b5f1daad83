/**
 * The logs of builds: frames in one numbered sequence per build, written before anybody sees them. A follower
 * reads the file at its own pace and is only told that there is more, so a slow one costs nothing.
 */
import { EventEmitter, once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ArchfarmError } from '../../shared/errors.ts';
import type { BuildEvent, Frame } from '../../shared/progress.ts';
import { unlessStoreFull } from './disk-full.ts';
import { appendLines, lastFrame, readLines, type Piece } from './log-file.ts';
import { formatLine } from './log-line.ts';
import { attemptKey, Recovery, type RecoveredLog } from './log-recovery.ts';
import { nothing, shareOf } from './task-share.ts';

export interface FrameLogOptions {
  /** Made where it is not there. Without one, the logs are gone with this object. */
  readonly directory?: string;
  /** Bytes of output kept per task, and of all else that it reports; 64 MiB if not given. */
  readonly outputLimit?: number;
}

export interface AppendOptions {
  readonly platform?: string | undefined;
  readonly agent?: string | undefined;
  /** The message of an attempt of that platform which brought them: the same one again is ignored. */
  readonly message?: { readonly attempt: number; readonly frame: number };
  readonly events: readonly BuildEvent[];
}

interface Log extends Pick<RecoveredLog, 'shares' | 'received'> {
  readonly path: string;
  /** Bytes of whole frames. */
  size: number;
  /** The end of it, where this process wrote that. */
  recent: Piece | undefined;
  seq: number;
  /** The result is in: nothing follows. */
  ended: boolean;
  /** Emits `frames`. */
  readonly changes: EventEmitter;
}

const suffix = '.ndjson';
const statsAtOnce = 64;
/** Of each log that is written to; one larger piece is kept as well. */
const recentBytes = 16 * 1024;

export class FrameLog implements AsyncDisposable {
  readonly directory: string;
  readonly #temporary: boolean;
  readonly #outputLimit: number;
  /** Of builds that go on. */
  readonly #logs = new Map<string, Log>();
  /** Those from before a restart that nobody has needed yet: how far they were gone through. */
  readonly #recoveries = new Map<string, Recovery>();
  #recovering: Promise<void> | undefined;

  constructor({ directory, outputLimit = 64 * 1024 * 1024 }: FrameLogOptions = {}) {
    this.directory = directory ?? mkdtempSync(join(tmpdir(), 'archfarm-logs-'));
    this.#temporary = directory === undefined;
    this.#outputLimit = outputLimit;
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
  }

  /**
   * Numbers the events and writes them; all or none, and none after the build's result. Synchronous, so that
   * the order of calls is the order of frames. What is beyond a task's limit is dropped, with one warning.
   */
  append(build: string, { platform, agent, message, events }: AppendOptions): Frame[] {
    const log = this.#open(build) ?? this.#add(build, this.#create(build));
    if (log.ended) return [];
    const key = message && attemptKey(platform ?? '', message.attempt);
    if (key !== undefined && message !== undefined && message.frame <= (log.received.get(key) ?? 0))
      return [];
    const kept = shareOf(events, log.shares.get(platform ?? '') ?? nothing, this.#outputLimit);
    const frames = kept.events.map((event, index): Frame => {
      const where = {
        ...(platform === undefined ? {} : { platform }),
        ...(agent === undefined ? {} : { agent }),
      };
      return { seq: log.seq + 1 + index, build, ...where, ...event };
    });
    if (frames.length > 0) {
      const received = message && { ...message, events: frames.length };
      const lines = frames.map((frame, index) => formatLine(frame, index === 0 ? received : undefined));
      const bytes = Buffer.from(lines.join(''));
      const start = log.size;
      log.size = unlessStoreFull(this.directory, () => appendLines(log.path, bytes, start));
      log.recent = joined(log.recent, { start, bytes });
      log.seq += frames.length;
    }
    if (key !== undefined && message !== undefined) log.received.set(key, message.frame);
    log.shares.set(platform ?? '', kept.share);
    log.ended = frames.some((frame) => frame.type === 'result');
    if (log.ended) this.#logs.delete(build);
    if (frames.length > 0) log.changes.emit('frames');
    return frames;
  }

  /**
   * Takes up the log of a build that goes on after a restart, beginning it where a crash came before its first frame.
   * Long ones are gone through while others work, as far as nobody needs them sooner.
   */
  begin(build: string): void {
    const path = this.#path(build);
    if (path !== undefined && existsSync(path)) {
      if (lastFrame(path)?.frame.type === 'result') return;
      this.#recoveries.set(build, new Recovery(path));
      this.#recovering ??= this.#recoverAhead();
      return;
    }
    const log = this.#add(build, this.#create(build));
    unlessStoreFull(this.directory, () => appendLines(log.path, Buffer.alloc(0), 0));
  }

  has(build: string): boolean {
    const path = this.#path(build);
    return this.#logs.has(build) || (path !== undefined && existsSync(path));
  }

  /** The lines of the frames after number `after` that are there now. Throws `not-found` for a build without a log. */
  read(build: string, after: number): AsyncGenerator<Buffer> {
    return this.#lines(build, { after, more: () => Promise.resolve(false) });
  }

  /** The lines of the frames after number `after`, up to the result whenever that comes. Throws AbortError. */
  follow(build: string, after: number, signal: AbortSignal): AsyncGenerator<Buffer> {
    return this.#lines(build, { after, more: (log) => nextFrames(log, signal) });
  }

  /** Of a build that has ended; harmless when repeated. Whoever reads it now reads on. */
  async remove(build: string): Promise<void> {
    const path = this.#path(build);
    if (path !== undefined) await rm(path, { force: true });
  }

  /** Every log and its bytes, the one of the newest build first. */
  async *newestFirst(): AsyncGenerator<{ readonly build: string; readonly size: number }> {
    const names = await readdir(this.directory);
    const builds = names.filter((name) => name.endsWith(suffix)).map((name) => name.slice(0, -suffix.length));
    const newest = builds.toSorted().toReversed();
    for (let start = 0; start < newest.length; start += statsAtOnce) {
      yield* await Promise.all(
        newest.slice(start, start + statsAtOnce).map(async (build) => {
          const found = await stat(join(this.directory, `${build}${suffix}`)).catch(() => undefined);
          return { build, size: found?.size ?? 0 };
        }),
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const unfinished of this.#recoveries.values()) unfinished[Symbol.dispose]();
    this.#recoveries.clear();
    await this.#recovering;
    if (this.#temporary) await rm(this.directory, { recursive: true, force: true });
  }

  async *#lines(
    build: string,
    { after, more }: { after: number; more: (log: Log) => Promise<boolean> },
  ): AsyncGenerator<Buffer> {
    // Readers have time.
    while (this.#recoveries.has(build)) await nextTurn();
    const log = this.#open(build);
    if (log === undefined) throw new ArchfarmError('not-found', `no log of a build ${JSON.stringify(build)}`);
    yield* readLines(log.path, {
      end: () => log.size,
      after,
      recent: () => log.recent,
      more: () => more(log),
    });
  }

  #open(build: string): Log | undefined {
    const open = this.#logs.get(build);
    if (open !== undefined) return open;
    const begun = this.#recoveries.get(build);
    if (begun !== undefined) return this.#recover(build, begun);
    const path = this.#path(build);
    if (path === undefined || !existsSync(path)) return undefined;
    const last = lastFrame(path);
    // Most logs that are looked at have ended, and their frames need no counting.
    if (last?.frame.type === 'result')
      return { ...newLog(path), seq: last.frame.seq, size: last.size, ended: true };
    return this.#recover(build, new Recovery(path));
  }

  /** A piece at a turn of the event loop. */
  async #recoverAhead(): Promise<void> {
    for (let [next] = this.#recoveries; next !== undefined; [next] = this.#recoveries) {
      const [build, begun] = next;
      try {
        if (begun.step() !== undefined) this.#recover(build, begun);
      } catch {
        // Whoever needs it begins again, and is told of it.
        this.#recoveries.delete(build);
      }
      await nextTurn();
    }
    this.#recovering = undefined;
  }

  #recover(build: string, begun: Recovery): Log {
    this.#recoveries.delete(build);
    return this.#add(build, { ...newLog(begun.path), ...begun.finish() });
  }

  #create(build: string): Log {
    const path = this.#path(build);
    if (path === undefined) throw new TypeError(`${JSON.stringify(build)} is no build id`);
    return newLog(path);
  }

  #add(build: string, log: Log): Log {
    this.#logs.set(build, log);
    return log;
  }

  /** Undefined for what cannot be a build: ids come from URLs too. */
  #path(build: string): string | undefined {
    return /^[a-z0-9]{1,32}$/.test(build) ? join(this.directory, `${build}${suffix}`) : undefined;
  }
}

function newLog(path: string): Log {
  return {
    path,
    size: 0,
    recent: undefined,
    seq: 0,
    ended: false,
    shares: new Map(),
    received: new Map(),
    changes: changes(),
  };
}

function changes(): EventEmitter {
  // One listener for each follower, and there may be many.
  return new EventEmitter().setMaxListeners(0);
}

/** Small pieces are kept together, so that a follower may be a little late. */
function joined(before: Piece | undefined, { start, bytes }: Piece): Piece {
  if (before === undefined || before.bytes.length + bytes.length > recentBytes) return { start, bytes };
  return { start: before.start, bytes: Buffer.concat([before.bytes, bytes]) };
}

/** Whether there is, or will be, more than what was read. */
async function nextFrames(log: Log, signal: AbortSignal): Promise<boolean> {
  if (log.ended) return false;
  await once(log.changes, 'frames', { signal });
  return true;
}

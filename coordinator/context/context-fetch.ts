/**
 * Brings what the tasks of one build want from its client to the store, behind whatever engines wait for. What was
 * selected comes by itself, so that another agent can take over without the client; all of a tree that no engine has
 * opened yet comes only when somebody waits for the build to need its client no more.
 */
import { untilAborted } from '../../shared/abort.ts';
import { DigestSet } from '../../shared/context/digest-set.ts';
import { Deferred } from '../../shared/context/deferred.ts';
import type { BlobReceiver } from '../../shared/context/receiver.ts';
import type { Selection } from '../../shared/context/select.ts';
import type { BlobStore } from '../../shared/context/store.ts';
import type { Digest } from '../../shared/context/tree.ts';
import type { MissingContents } from '../../shared/progress.ts';
import { prefetchAll, wantedFiles } from './wanted-files.ts';
import { WantedSets, type TaskAttempt, type WantedPart } from './wanted-sets.ts';

export interface ContextFetchOptions {
  readonly roots: readonly Digest[];
  /** Platforms of the build's tasks that have not ended, as it is now. */
  readonly openTasks: () => readonly string[];
  /** Where contents come from, as it is now. */
  readonly receiver: () => Pick<BlobReceiver, 'prefetch' | 'directory'>;
  readonly store: Pick<BlobStore, 'has'>;
  /** Milliseconds that engines get to open their trees before these are fetched as a whole. */
  readonly patience: number;
  /** A part could not be fetched. */
  readonly onTrouble: (error: unknown) => void;
}

/** Of missing contents, as MissingContents says. */
const maxPaths = 20;

export class ContextFetch implements Disposable {
  readonly #options: ContextFetchOptions;
  readonly #sets: WantedSets;
  readonly #startedAt = performance.now();
  readonly #end = new AbortController();
  /** Keys of parts that are in the store, where they are pinned. */
  readonly #held = new Set<string>();
  readonly #failed = new Map<string, unknown>();
  readonly #waiting = new Set<Deferred<void>>();
  #current: { readonly part: WantedPart; readonly stop: AbortController } | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ContextFetchOptions) {
    this.#options = options;
    this.#sets = new WantedSets(options.roots);
  }

  selected(attempt: TaskAttempt, root: Digest, selection: Selection): void {
    this.#sets.note(attempt, root, selection);
    this.check();
  }

  /** The contents come from elsewhere now: what failed may come. */
  relinked(): void {
    this.#failed.clear();
    this.#current?.stop.abort();
    this.check();
  }

  /** Goes on with what is wanted now. To be called when a task may have ended. */
  check(): void {
    if (this.#end.signal.aborted) return;
    const wanted = this.#wanted();
    this.#tellWaiting(wanted);
    const next = wanted.find((part) => this.#isDue(part));
    if (this.#current === undefined) {
      if (next !== undefined) void this.#fetch(next);
      else this.#checkAfterPatience();
      return;
    }
    const { part, stop } = this.#current;
    const goesOn = wanted.some(({ key }) => key === part.key) && this.#isDue(part);
    // A whole tree that is fetched in vain, now that it is known what is needed of it, is fetched no further.
    if (!goesOn || (next?.isSelected === true && !part.isSelected)) stop.abort();
  }

  /** Resolves once the build needs its client no more; rejects with what is in the way of that. */
  async complete(signal: AbortSignal): Promise<void> {
    const done = new Deferred<void>();
    this.#waiting.add(done);
    this.check();
    try {
      await untilAborted(done.promise, signal);
    } finally {
      this.#waiting.delete(done);
      this.check();
    }
  }

  async missing(signal: AbortSignal): Promise<MissingContents> {
    const { receiver, store } = this.#options;
    const found = new DigestSet();
    const paths: string[] = [];
    let bytes = 0;
    for (const part of this.#wanted()) {
      for await (const { path, digest, size } of wantedFiles(part, receiver(), signal)) {
        if (found.has(digest) || (await store.has({ kind: 'blob', digest, size }))) continue;
        found.add(digest);
        bytes += size;
        if (paths.length < maxPaths) paths.push(path);
      }
    }
    return { files: found.size, bytes, paths };
  }

  /** The build is over and wants nothing more. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#end.abort(new Error('the build is over'));
    for (const done of this.#waiting) done.resolve();
  }

  #wanted(): WantedPart[] {
    return this.#sets.of(this.#options.openTasks()).filter(({ key }) => !this.#held.has(key));
  }

  #isDue({ key, isSelected }: WantedPart): boolean {
    if (this.#failed.has(key)) return false;
    return isSelected || (this.#waiting.size > 0 && this.#patienceLeft() <= 0);
  }

  #patienceLeft(): number {
    return this.#startedAt + this.#options.patience - performance.now();
  }

  #tellWaiting(wanted: readonly WantedPart[]): void {
    const failed = wanted.find(({ key }) => this.#failed.has(key));
    for (const done of this.#waiting) {
      if (wanted.length === 0) done.resolve();
      else if (failed !== undefined) done.reject(this.#failed.get(failed.key));
    }
  }

  #checkAfterPatience(): void {
    clearTimeout(this.#timer);
    const left = this.#patienceLeft();
    if (this.#waiting.size > 0 && left > 0) this.#timer = setTimeout(() => this.check(), left + 1).unref();
  }

  async #fetch(part: WantedPart): Promise<void> {
    const { onTrouble } = this.#options;
    const receiver = this.#options.receiver();
    const stop = new AbortController();
    const signal = AbortSignal.any([this.#end.signal, stop.signal]);
    this.#current = { part, stop };
    try {
      await prefetchAll(wantedFiles(part, receiver, signal), receiver, signal);
      this.#held.add(part.key);
    } catch (error) {
      if (!signal.aborted) {
        this.#failed.set(part.key, error);
        onTrouble(error);
      }
    } finally {
      this.#current = undefined;
      this.check();
    }
  }
}

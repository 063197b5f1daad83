/** The file systems that builds need: looks at them, has room made where that can help, and says what still lacks. */
import type { DiskSpace } from '../shared/disk-space.ts';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { diskSpaces, lackOfSpace, type Lack, type Watermark } from './disk-watch.ts';

export interface DisksOptions {
  readonly watermark: Watermark;
  /** Beside the engine's own. */
  readonly paths: readonly string[];
  readonly log: Logger;
  /** Frees space of the engine's until what it is given says that none is missing. Resolves with whether it freed any. */
  readonly makeRoom?: (missing: () => Promise<number>, signal: AbortSignal) => Promise<boolean>;
  /** Milliseconds after which it may help to make room again: what ran then may have ended. */
  readonly again?: number;
  /** Milliseconds of making room after which builds wait for it: mostly it takes seconds, which is no news. */
  readonly patience?: number;
}

export class Disks {
  readonly #options: DisksOptions;
  #lack: string | undefined;
  #spaces: readonly DiskSpace[] = [];
  /** While room is made. */
  #making: Promise<void> | undefined;
  /** By `performance.now()`. */
  #makingSince = 0;
  /** By `performance.now()`. */
  #makeAgainAt = -Infinity;
  #hasFreed = false;
  /** What lacks was said while room was still being made. */
  #isInterim = false;

  constructor(options: DisksOptions) {
    this.#options = options;
  }

  /** Why there is no room for builds, after all that could be done about it, or was done for a while. */
  get lack(): string | undefined {
    return this.#lack;
  }

  /** As of the last look. */
  get spaces(): readonly DiskSpace[] {
    return this.#spaces;
  }

  /** `root` is where the engine keeps its images, if that is on this host. Does not wait for room that is made. */
  async look(root: string | undefined, signal: AbortSignal): Promise<void> {
    const { watermark, paths } = this.#options;
    this.#spaces = await diskSpaces([...(root === undefined ? [] : [root]), ...paths]);
    const engines = root === undefined ? undefined : await lackOfSpace(root, watermark);
    const others = await Promise.all(paths.map((path) => lackOfSpace(path, watermark)));
    const lack = engines ?? others.find((found) => found !== undefined);
    if (lack === undefined) {
      this.#lack = undefined;
      this.#hasFreed = false;
    } else if (this.#making !== undefined) {
      const { patience = 15_000 } = this.#options;
      if (performance.now() - this.#makingSince >= patience) this.#say(lack);
    } else if (engines !== undefined && root !== undefined && this.#mayMakeRoom()) {
      this.#makingSince = performance.now();
      this.#making = this.#makeRoom(root, signal);
    } else this.#say(lack);
  }

  /** Resolves when no room is being made any more. */
  async settled(): Promise<void> {
    await this.#making;
  }

  #mayMakeRoom(): boolean {
    return this.#options.makeRoom !== undefined && performance.now() >= this.#makeAgainAt;
  }

  async #makeRoom(root: string, signal: AbortSignal): Promise<void> {
    const { watermark, log, makeRoom, again = 60_000 } = this.#options;
    try {
      const missing = async (): Promise<number> => (await lackOfSpace(root, watermark))?.missing ?? 0;
      this.#hasFreed = (await makeRoom?.(missing, signal)) === true || this.#hasFreed;
    } catch (error) {
      if (!signal.aborted) log.warn({ reason: messageOf(error) }, 'no room could be made');
    }
    this.#makeAgainAt = performance.now() + again;
    this.#making = undefined;
  }

  /** The figures change with every look: only that there is too little is news, and that no more can be done about it. */
  #say({ reason }: Lack): void {
    const isInterim = this.#making !== undefined;
    if (this.#lack !== undefined && (isInterim || !this.#isInterim)) return;
    this.#isInterim = isInterim;
    if (isInterim) this.#lack = `${reason}; room is being made`;
    else
      this.#lack = this.#hasFreed
        ? `${reason}, also after build cache and old images were reclaimed`
        : reason;
    this.#options.log.warn({ reason: this.#lack }, 'no room for builds');
  }
}

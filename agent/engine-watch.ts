/** Knows whether the engine is well and what it offers; the worker tells the coordinator when that changes. */
import { delay, within } from '../shared/abort.ts';
import type { DiskSpace } from '../shared/disk-space.ts';
import { ArchfarmError, messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import type { OfferedPlatform } from '../shared/messages.ts';
import { formatPlatform } from '../shared/platform.ts';
import type { Disks } from './disks.ts';
import { emulatedPlatforms } from './emulation.ts';
import { noAnswer } from './engine/engine-error.ts';
import type { Engine } from './engine/engine.ts';

export interface EngineWatchOptions {
  readonly engine: Engine;
  /** Formatted; undefined offers everything that the engine can. */
  readonly restrictTo: readonly string[] | undefined;
  readonly log: Logger;
  /** Looked at with the engine. */
  readonly disks?: Disks;
  /** An engine that is too old is an error at the start, not something to wait for the end of. */
  readonly mustBuild?: boolean;
  /** Milliseconds between two looks. */
  readonly interval?: number;
  /** Milliseconds without an answer after which what it has in hand is given up. */
  readonly lostAfter?: number;
  /** Milliseconds that it has for one answer. */
  readonly answerWithin?: number;
  /** Foreign platforms that this host runs; absent: as its kernel says. */
  readonly emulated?: () => Promise<readonly string[]>;
}

/** Looks that must fail in a row before the engine counts as down: one may be a busy engine. */
const maxMisses = 3;
/** The part of the time between two looks that it has for a ping: so three misses take less than four times that. */
const pingShare = 0.8;
/** Milliseconds that it has in any case: timers may be faster than a busy host. */
const leastPing = 1000;

export class EngineWatch {
  readonly engine: Engine;
  readonly #options: EngineWatchOptions;
  #platforms: readonly OfferedPlatform[] = [];
  /** Formatted, once the engine has described itself. */
  #native: string | undefined;
  #version = '';
  #apiVersion = '';
  #trouble: string | undefined = 'the engine was not reached yet';
  /** It answers, but `restrictTo` asks for what is not there. No reason to give up what runs. */
  #unsupported: ArchfarmError | undefined;
  /** Where the engine keeps its images, if that is on this host. */
  #root: string | undefined;
  #misses = 0;
  /** Since when it has not answered, by `performance.now()`; undefined while it does. */
  #silentSince: number | undefined;
  #changed: (platformsChanged: boolean) => void = () => {};

  constructor(options: EngineWatchOptions) {
    this.engine = options.engine;
    this.#options = options;
  }

  get platforms(): readonly OfferedPlatform[] {
    return this.#platforms;
  }

  get version(): string {
    return this.#version;
  }

  get apiVersion(): string {
    return this.#apiVersion;
  }

  /** Why no build can run here; undefined when all is well. */
  get trouble(): string | undefined {
    return this.#trouble ?? this.#unsupported?.message ?? this.#options.disks?.lack;
  }

  /** What is free where builds need it, as of the last look. */
  get disks(): readonly DiskSpace[] {
    return this.#options.disks?.spaces ?? [];
  }

  /** Milliseconds since its first failed look, if all since have failed; 0 of an engine that answers. */
  silence(now = performance.now()): number {
    return this.#silentSince === undefined ? 0 : now - this.#silentSince;
  }

  /** A build found it gone: whether it is, is not to wait for three looks. */
  async doubt(signal: AbortSignal): Promise<void> {
    if (this.#trouble !== undefined) return;
    await this.#telling(() => this.#look(signal).catch((error: unknown) => this.#fail(messageOf(error))));
  }

  onChange(changed: (platformsChanged: boolean) => void): void {
    this.#changed = changed;
  }

  /** First look, before the coordinator is dialed. Throws `config` where `--platform` asks what is not there. */
  async start(signal: AbortSignal): Promise<void> {
    try {
      await this.#look(signal);
    } catch (error) {
      const { mustBuild = false } = this.#options;
      const code = error instanceof ArchfarmError ? error.code : undefined;
      if (code === 'config' || (mustBuild && code === 'no-buildkit')) throw error;
      this.#fail(messageOf(error));
    }
    if (this.#unsupported !== undefined) throw this.#unsupported;
    await this.#options.disks?.look(this.#root, signal);
  }

  /** Looks again and again until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const interval = this.#interval;
    let took = 0;
    while (!signal.aborted) {
      await delay(Math.max(0, interval - took), signal).catch(() => {});
      if (signal.aborted) return;
      const since = performance.now();
      await this.#telling(() => this.#lookAll(signal, since));
      took = performance.now() - since;
    }
  }

  async #lookAll(signal: AbortSignal, since: number): Promise<void> {
    try {
      await this.#look(signal);
      this.#misses = 0;
      this.#silentSince = undefined;
    } catch (error) {
      this.#silentSince ??= since;
      if (++this.#misses >= maxMisses) this.#fail(messageOf(error));
      if (this.#misses >= maxMisses && this.silence() > (this.#options.lostAfter ?? 60_000))
        this.engine.giveUp(new ArchfarmError('engine-down', messageOf(error)));
    }
    // Of an engine that is away nothing can be reclaimed.
    await this.#options.disks?.look(this.#trouble === undefined ? this.#root : undefined, signal);
  }

  async #telling(look: () => Promise<void>): Promise<void> {
    const before = { platforms: JSON.stringify(this.#platforms), trouble: this.trouble };
    await look();
    const platformsChanged = before.platforms !== JSON.stringify(this.#platforms);
    if (platformsChanged || before.trouble !== this.trouble) this.#changed(platformsChanged);
  }

  /** Throws only when the engine does not answer as it should. */
  async #look(signal: AbortSignal): Promise<void> {
    const ping = Math.max(leastPing, this.#interval * pingShare);
    const { answerWithin = this.#isWell ? ping : 10_000 } = this.#options;
    const late = (): Error => noAnswer(this.engine.host);
    await within(answerWithin, { signal, late }, (limited) => this.#ask(limited));
    this.#trouble = undefined;
    await this.#offer();
  }

  async #ask(soon: AbortSignal): Promise<void> {
    // An engine starts several programs to describe itself; while it is well, a ping says enough.
    if (this.#isWell) await this.engine.ping(soon);
    else await this.#describe(soon);
  }

  async #offer(): Promise<void> {
    const { restrictTo, emulated: find = emulatedPlatforms } = this.#options;
    const native = this.#native;
    const emulated = (await find()).filter((platform) => platform !== native);
    const all = [
      ...(native === undefined ? [] : [{ platform: native, native: true }]),
      ...emulated.map((platform) => ({ platform, native: false })),
    ];
    const before = this.#unsupported?.message;
    this.#unsupported = unsupported(all, restrictTo);
    // While it cannot be met, what was offered stays: the agent gets no work in any case.
    if (this.#unsupported === undefined) {
      this.#platforms = all.filter(({ platform }) => restrictTo?.includes(platform) ?? true);
    } else if (this.#unsupported.message !== before) {
      this.#warn(this.#unsupported.message);
    }
  }

  get #isWell(): boolean {
    return this.#native !== undefined && this.#trouble === undefined;
  }

  get #interval(): number {
    return this.#options.interval ?? 5000;
  }

  async #describe(signal: AbortSignal): Promise<void> {
    const info = await this.engine.info(signal);
    this.#native = formatPlatform(info.platform);
    this.#version = info.version;
    this.#apiVersion = info.apiVersion;
    this.#root = info.root;
    // Whoever starts again may have left something behind, and so may an engine that was away.
    await this.engine
      .sweep(signal)
      .catch((error: unknown) => this.#options.log.warn({ err: error }, 'old containers may be left'));
  }

  #fail(reason: string): void {
    if (this.#trouble !== reason) this.#warn(reason);
    this.#trouble = reason;
  }

  #warn(reason: string): void {
    this.#options.log.warn({ reason }, 'the engine cannot build');
  }
}

function unsupported(
  all: readonly OfferedPlatform[],
  wanted: readonly string[] = [],
): ArchfarmError | undefined {
  const missing = wanted.find((platform) => !all.some((offered) => offered.platform === platform));
  if (missing === undefined) return undefined;
  const has = all.map(({ platform, native }) => `${platform} (${native ? 'native' : 'emulated'})`).join(', ');
  return new ArchfarmError('config', `this host cannot build ${missing}: it has ${has}`, {
    hint: `install qemu-user-static for emulation, or start the agent without --platform ${missing}`,
  });
}

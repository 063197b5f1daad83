/** Knows whether the engine is well and what it offers; the worker tells the coordinator when that changes. */
import { delay } from '../shared/abort.ts';
import { ArchfarmError, messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import type { OfferedPlatform } from '../shared/messages.ts';
import { formatPlatform } from '../shared/platform.ts';
import { emulatedPlatforms } from './emulation.ts';
import type { Engine } from './engine/engine.ts';

export interface EngineWatchOptions {
  readonly engine: Engine;
  /** Formatted; undefined offers everything that the engine can. */
  readonly restrictTo: readonly string[] | undefined;
  readonly log: Logger;
  /** Milliseconds between two looks. */
  readonly interval?: number;
  /** Milliseconds that it has for one answer. */
  readonly answerWithin?: number;
}

/** Looks that must fail in a row before the engine counts as down: one may be a busy engine. */
const maxMisses = 3;

export class EngineWatch {
  readonly engine: Engine;
  readonly #options: EngineWatchOptions;
  #platforms: readonly OfferedPlatform[] = [];
  /** Formatted, once the engine has described itself. */
  #native: string | undefined;
  #version = '';
  #apiVersion = '';
  #trouble: string | undefined = 'the engine was not reached yet';
  #misses = 0;
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
    return this.#trouble;
  }

  onChange(changed: (platformsChanged: boolean) => void): void {
    this.#changed = changed;
  }

  /** First look, before the coordinator is dialed. Throws `config` where `--platform` asks what is not there. */
  async start(signal: AbortSignal): Promise<void> {
    try {
      await this.#look(signal);
    } catch (error) {
      if (error instanceof ArchfarmError && (error.code === 'config' || error.code === 'no-buildkit'))
        throw error;
      this.#fail(messageOf(error));
    }
  }

  /** Looks again and again until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { interval = 5000 } = this.#options;
    while (!signal.aborted) {
      await delay(interval, signal).catch(() => {});
      if (signal.aborted) return;
      const before = { platforms: JSON.stringify(this.#platforms), trouble: this.#trouble };
      try {
        await this.#look(signal);
        this.#misses = 0;
      } catch (error) {
        if (++this.#misses >= maxMisses) this.#fail(messageOf(error));
      }
      const platformsChanged = before.platforms !== JSON.stringify(this.#platforms);
      if (platformsChanged || before.trouble !== this.#trouble) this.#changed(platformsChanged);
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { answerWithin = 10_000 } = this.#options;
    const late = new AbortController();
    const silence = new ArchfarmError(
      'engine-down',
      `the Docker engine at ${this.engine.host} does not answer`,
    );
    const timer = setTimeout(() => late.abort(silence), answerWithin);
    try {
      await this.#ask(AbortSignal.any([signal, late.signal]));
    } finally {
      clearTimeout(timer);
    }
  }

  async #ask(soon: AbortSignal): Promise<void> {
    // An engine starts several programs to describe itself; while it is well, a ping says enough.
    if (this.#native !== undefined && this.#trouble === undefined) await this.engine.ping(soon);
    else await this.#describe(soon);
    const native = this.#native;
    const emulated = (await emulatedPlatforms()).filter((platform) => platform !== native);
    const all = [
      ...(native === undefined ? [] : [{ platform: native, native: true }]),
      ...emulated.map((platform) => ({ platform, native: false })),
    ];
    this.#platforms = restrict(all, this.#options.restrictTo);
    this.#trouble = undefined;
  }

  async #describe(signal: AbortSignal): Promise<void> {
    const info = await this.engine.info(signal);
    this.#native = formatPlatform(info.platform);
    this.#version = info.version;
    this.#apiVersion = info.apiVersion;
    // Whoever starts again may have left something behind, and so may an engine that was away.
    await this.engine
      .sweep(signal)
      .catch((error: unknown) => this.#options.log.warn({ err: error }, 'old containers may be left'));
  }

  #fail(reason: string): void {
    if (this.#trouble !== reason) this.#options.log.warn({ reason }, 'the engine cannot build');
    this.#trouble = reason;
    this.engine.giveUp(new ArchfarmError('engine-down', reason));
  }
}

function restrict(
  all: readonly OfferedPlatform[],
  wanted: readonly string[] | undefined,
): readonly OfferedPlatform[] {
  if (wanted === undefined) return all;
  const missing = wanted.find((platform) => !all.some((offered) => offered.platform === platform));
  if (missing === undefined) return all.filter((offered) => wanted.includes(offered.platform));
  const has = all.map(({ platform, native }) => `${platform} (${native ? 'native' : 'emulated'})`).join(', ');
  throw new ArchfarmError('config', `this host cannot build ${missing}: it has ${has}`, {
    hint: `install qemu-user-static for emulation, or start the agent without --platform ${missing}`,
  });
}

/** When a store gives up what it holds: in time, above its size, and on a full disk. */
import { sweep, type Pin, type PinnedDigests, type StoreBounds, type SweptStore } from './sweep.ts';

export interface KeeperBounds extends StoreBounds {
  /** `recent` for a disk that is full; 0 for a store that one process has for itself, which pins what it relies on. */
  readonly recentOnFullDisk: number;
}

/** Bytes that a full disk is relieved of at once, if there are so many to go. */
const roomBytes = 64 * 1024 ** 2;
/** Milliseconds for which a disk is taken for full once nothing could go: looking through the store for each write takes long. */
const hopeless = 10_000;

export class StoreKeeper implements AsyncDisposable {
  readonly #store: Omit<SweptStore, 'pins'>;
  readonly #bounds: KeeperBounds;
  readonly #pins = new Set<Pin>();
  #timer: NodeJS.Timeout | undefined;
  #bytes = 0;
  /** Bytes above which the next sweep is due: what is recent stays, and sweeping again would not help. */
  #sweepAt: number;
  #sweeping: Promise<void> = Promise.resolve();
  #sweepDue = false;
  #makingRoom: Promise<boolean> | undefined;
  #hopelessUntil = -Infinity;
  /** Who wants recent contents to stay whatever the disk says. */
  #keepers = 0;

  constructor(store: Omit<SweptStore, 'pins'>, bounds: KeeperBounds) {
    this.#store = store;
    this.#bounds = bounds;
    this.#sweepAt = bounds.maxBytes;
  }

  /** Bytes on disk at the last sweep, and those written since. */
  get bytes(): number {
    return this.#bytes;
  }

  begin(): void {
    this.#timer ??= setInterval(() => this.#sweepSoon(), this.#bounds.recent / 3 || 1000).unref();
    this.#sweepSoon();
  }

  stored(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#sweepAt) this.#sweepSoon();
  }

  pin(digests: PinnedDigests): Disposable {
    // An object of its own: the same digests may be pinned twice.
    const pin = { digests };
    this.#pins.add(pin);
    return {
      [Symbol.dispose]: () => {
        // A sweep under way has decided for a part of what it removes before the pin was there.
        void this.#sweeping.then(() => {
          this.#pins.delete(pin);
          this.#hopelessUntil = -Infinity;
        });
      },
    };
  }

  async keepRecent(): Promise<Disposable> {
    this.#keepers += 1;
    await this.#makingRoom?.catch(() => {});
    return {
      [Symbol.dispose]: () => {
        this.#keepers -= 1;
        this.#hopelessUntil = -Infinity;
      },
    };
  }

  sweep(): Promise<void> {
    return this.#inTurn(async () => void (await this.#sweep()));
  }

  /** Says whether anything went. */
  makeRoom(): Promise<boolean> {
    this.#makingRoom ??= this.#inTurn(() => this.#makeRoom()).finally(() => {
      this.#makingRoom = undefined;
    });
    return this.#makingRoom;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#sweeping;
  }

  /** One at a time. */
  #inTurn<T>(sweep: () => Promise<T>): Promise<T> {
    const swept = this.#sweeping.then(sweep);
    this.#sweeping = swept.then(
      () => {},
      () => {},
    );
    return swept;
  }

  async #makeRoom(): Promise<boolean> {
    if (performance.now() < this.#hopelessUntil) return false;
    const isMade = await this.#sweep(roomBytes);
    if (!isMade) this.#hopelessUntil = performance.now() + hopeless;
    return isMade;
  }

  /** Says whether anything went. */
  async #sweep(room = 0): Promise<boolean> {
    this.#sweepDue = false;
    const { files, packs } = this.#store;
    const { maxBytes, recent, recentOnFullDisk } = this.#bounds;
    await packs.refresh();
    await packs.touchUsed();
    const swept = await sweep(
      { ...this.#store, pins: this.#pins },
      { ...this.#bounds, recent: room > 0 && this.#keepers === 0 ? recentOnFullDisk : recent },
      room,
    );
    this.#bytes = swept.bytes;
    this.#sweepAt = Math.max(maxBytes, this.#bytes + maxBytes / 20);
    await files.removeAbandoned(Date.now());
    return swept.freed > 0;
  }

  #sweepSoon(): void {
    if (this.#sweepDue) return;
    this.#sweepDue = true;
    // A store that cannot be cleaned still works; what is wrong with the disk shows when it is written to.
    this.sweep().catch(() => {});
  }
}

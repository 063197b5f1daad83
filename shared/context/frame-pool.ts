/**
 * Joins small pieces to frames of one size. A frame's memory is used again once it was sent: memory that is always new
 * costs more, in page faults and garbage collections, than what is copied into it.
 */
export interface PooledFrame {
  readonly bytes: Buffer;
  /** To be called once the bytes are needed no more. */
  readonly release: () => void;
}

export class FramePool {
  readonly #frameBytes: number;
  readonly #idle: Buffer[] = [];

  constructor(frameBytes: number) {
    this.#frameBytes = frameBytes;
  }

  async *join(pieces: AsyncIterable<Buffer>): AsyncGenerator<PooledFrame> {
    let frame = this.#take();
    let filled = 0;
    try {
      for await (const piece of pieces) {
        for (let at = 0; at < piece.length;) {
          const copied = piece.copy(frame, filled, at);
          at += copied;
          filled += copied;
          if (filled < frame.length) continue;
          yield this.#lend(frame, filled);
          frame = this.#take();
          filled = 0;
        }
      }
    } catch (error) {
      // What came before the failure can be used, and need not be sent again.
      if (filled > 0) yield this.#lend(frame, filled);
      throw error;
    }
    if (filled > 0) yield this.#lend(frame, filled);
    else this.#idle.push(frame);
  }

  #take(): Buffer {
    return this.#idle.pop() ?? Buffer.allocUnsafeSlow(this.#frameBytes);
  }

  #lend(frame: Buffer, filled: number): PooledFrame {
    const release = (): void => void this.#idle.push(frame);
    const bytes = frame.subarray(0, filled);
    if (filled >= frame.length / 2) return { bytes, release };
    // Many small ones that wait to be sent must not hold a whole frame each.
    release();
    return { bytes: Buffer.from(bytes), release: () => {} };
  }
}

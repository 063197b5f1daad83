/** The end of an output, whole lines where there are any: what is kept of what may be endless. */

/** Bytes that are kept, at least; up to twice as many are held. */
const keptBytes = 32 * 1024;

export class OutputTail {
  #chunks: Buffer[] = [];
  #length = 0;
  #isWhole = true;

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#length > 2 * keptBytes)
      this.#hold(Buffer.from(Buffer.concat(this.#chunks).subarray(-keptBytes)));
  }

  /** Without the beginning of a line or a character that was cut off. */
  text(): string {
    const whole = Buffer.concat(this.#chunks);
    const kept = whole.subarray(-keptBytes);
    const text = kept.toString('utf8');
    if (kept.length === whole.length && this.#isWhole) return text.trimEnd();
    const line = text.indexOf('\n');
    return (line === -1 ? text.replace(/^\uFFFD+/, '') : text.slice(line + 1)).trimEnd();
  }

  #hold(chunk: Buffer): void {
    this.#chunks = [chunk];
    this.#length = chunk.length;
    this.#isWhole = false;
  }
}

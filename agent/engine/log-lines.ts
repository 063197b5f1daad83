/** Joins a stream of output, cut anywhere, into whole lines, and masks the secrets in it. */
import { MaskStream, type Mask } from '../../shared/mask/mask.ts';

/** Bytes of output in one text. */
const maxTextBytes = 64 << 10;

const lineFeed = 0x0a;

export class LogLines {
  readonly #masked: MaskStream;
  #rest: Buffer = Buffer.alloc(0);

  constructor(mask: Mask) {
    this.#masked = new MaskStream(mask);
  }

  /** The whole lines that are there now: texts of one or more lines without the last line feed. */
  push(chunk: Buffer): string[] {
    return this.#lines(this.#masked.push(chunk));
  }

  /** The last line, if the output did not end with a line feed. */
  end(): string[] {
    const lines = this.#lines(this.#masked.end());
    const rest = this.#rest.toString('utf8');
    this.#rest = Buffer.alloc(0);
    return rest === '' ? lines : [...lines, rest];
  }

  #lines(chunk: Buffer): string[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const texts: string[] = [];
    let start = 0;
    while (start < bytes.length) {
      // Beyond the limit a search would go on to the end of the chunk for each text.
      const window = bytes.subarray(start, start + maxTextBytes + 1);
      const end = window.lastIndexOf(lineFeed);
      if (end >= 0) {
        texts.push(window.toString('utf8', 0, end));
        start += end + 1;
      } else if (window.length > maxTextBytes) {
        const cut = characterStart(window, maxTextBytes);
        texts.push(window.toString('utf8', 0, cut));
        start += cut;
      } else {
        break;
      }
    }
    // A copy: what is left must not keep the whole chunk alive.
    this.#rest = Buffer.from(bytes.subarray(start));
    return texts;
  }
}

/** The last place at or before `index` where a UTF-8 character starts. */
function characterStart(bytes: Buffer, index: number): number {
  for (let start = index; start > index - 4; start -= 1) {
    if (((bytes[start] ?? 0) & 0xc0) !== 0x80) return start;
  }
  return index;
}

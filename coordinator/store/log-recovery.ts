/** Finds the end of a log again after a crash, and what it holds of each task. */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { readHead, type LineHead } from './log-line.ts';
import { nothing, shareWith, type Share } from './task-share.ts';

export interface RecoveredLog {
  /** Bytes of whole frames. */
  readonly size: number;
  readonly seq: number;
  /** What is kept of each task, by platform. */
  readonly shares: Map<string, Share>;
  /** The last message of each attempt, by platform and number. */
  readonly received: Map<string, number>;
}

const newline = 0x0a;
const pieceSize = 256 * 1024;

/** As long a log as there is can be gone through with pauses, or at once by whoever needs it. */
export class Recovery implements Disposable {
  readonly path: string;
  readonly #pieces: Generator<undefined, RecoveredLog | undefined>;
  #found: RecoveredLog | undefined;

  constructor(path: string) {
    this.path = path;
    this.#pieces = recoverLog(path);
  }

  /** Goes a piece further; undefined until the end. */
  step(): RecoveredLog | undefined {
    if (this.#found !== undefined) return this.#found;
    const { value, done } = this.#pieces.next();
    if (done === true && value === undefined) throw new TypeError(`${this.path} was given up`);
    return (this.#found = value);
  }

  /** The log, once what is left of it was gone through. */
  finish(): RecoveredLog {
    for (;;) {
      const found = this.step();
      if (found !== undefined) return found;
    }
  }

  /** For one that nobody needs any more. */
  [Symbol.dispose](): void {
    this.#pieces.return(undefined);
  }
}

/** Cuts off what a crash left unfinished: a torn line, and the lines before it that came in the same message. */
function* recoverLog(path: string): Generator<undefined, RecoveredLog | undefined> {
  const shares = new Map<string, Share>();
  const received = new Map<string, number>();
  let [seq, size, read] = [0, 0, 0];
  /** The message that is being read, and how many of its lines are still to come. */
  let message: LineHead | undefined;
  let missing = 0;
  const file = openSync(path, 'a+', 0o600);
  try {
    const end = fstatSync(file).size;
    for (const line of linesOf(file, end)) {
      if (line === undefined) {
        yield undefined;
        continue;
      }
      const head = readHead(line);
      if (head === undefined) break;
      const { platform = '' } = head;
      read += line.length + 1;
      if (missing === 0) message = head;
      missing = missing === 0 ? (head.received?.events ?? 1) - 1 : missing - 1;
      // A message that is cut off comes again: that it counts twice does no harm.
      shares.set(platform, shareWith(shares.get(platform) ?? nothing, head, line));
      if (missing > 0) continue;
      if (message?.received !== undefined) {
        received.set(attemptKey(platform, message.received.attempt), message.received.frame);
      }
      ({ seq } = head);
      size = read;
    }
    if (size < end) ftruncateSync(file, size);
  } finally {
    closeSync(file);
  }
  return { size, seq, shares, received };
}

export function attemptKey(platform: string, attempt: number): string {
  return `${platform} ${attempt}`;
}

/** Undefined after each piece. */
function* linesOf(file: number, size: number): Generator<Buffer | undefined> {
  let rest = Buffer.alloc(0);
  const piece = Buffer.allocUnsafe(pieceSize);
  for (let position = 0; position < size;) {
    const read = readSync(file, piece, 0, piece.length, position);
    if (read === 0) return;
    position += read;
    const bytes = Buffer.concat([rest, piece.subarray(0, read)]);
    let start = 0;
    for (let at = bytes.indexOf(newline); at !== -1; at = bytes.indexOf(newline, start)) {
      yield bytes.subarray(start, at);
      start = at + 1;
    }
    rest = bytes.subarray(start);
    yield undefined;
  }
}

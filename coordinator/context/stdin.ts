/** What comes by the standard input: a Dockerfile, or an archive. */
import { untilAborted } from '../../shared/abort.ts';
import { ArchfarmError } from '../../shared/errors.ts';

/** The block in which an archive says that it is one: in every one of them there are bytes that no text has. */
const peekedBytes = 512;
/** Bytes; far above any Dockerfile. */
const maxTextBytes = 16 * 1024 * 1024;
/** The control characters of texts: tab, line feed, vertical tab, form feed, carriage return. */
const layout = new Set([0x09, 0x0a, 0x0b, 0x0c, 0x0d]);
const bzip2 = /^BZh\d/;

/** Some input of which the beginning is known. */
export interface Peeked {
  readonly start: Buffer;
  /** From the beginning. */
  readonly all: AsyncIterable<Buffer>;
}

/** Less at the `start` where there is no more. */
export async function peek(
  input: AsyncIterable<Buffer>,
  { bytes, signal }: { readonly bytes: number; readonly signal: AbortSignal },
): Promise<Peeked> {
  const iterator = input[Symbol.asyncIterator]();
  let start = Buffer.alloc(0);
  while (start.length < bytes) {
    const { done, value } = await untilAborted(iterator.next(), signal);
    if (done === true) break;
    start = Buffer.concat([start, value]);
  }
  return { start, all: joined(start, iterator) };
}

async function* joined(start: Buffer, iterator: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield start;
    for (;;) {
      const { done, value } = await iterator.next();
      if (done === true) return;
      yield value;
    }
  } finally {
    // Nothing more is wanted: an input that stays open would keep the process alive.
    await iterator.return?.();
  }
}

/** Text is a Dockerfile, as docker takes it. */
export async function readStdin(
  input: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<{ readonly dockerfile: string } | { readonly archive: AsyncIterable<Buffer> }> {
  const { start, all } = await peek(input, { bytes: peekedBytes, signal });
  if (!isText(start)) return { archive: all };
  return { dockerfile: await readText(all, signal) };
}

/** Throws `context-invalid` for what is empty, or too long for a Dockerfile. */
export async function readDockerfile(input: AsyncIterable<Buffer>, signal: AbortSignal): Promise<string> {
  const text = await readText(input, signal);
  if (text !== '') return text;
  throw new ArchfarmError('context-invalid', 'the standard input is empty, and so no Dockerfile');
}

async function readText(input: AsyncIterable<Buffer>, signal: AbortSignal): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  const iterator = input[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await untilAborted(iterator.next(), signal);
      if (done === true) return Buffer.concat(pieces).toString('utf8');
      pieces.push(value);
      bytes += value.length;
      if (bytes > maxTextBytes) throw tooLong();
    }
  } finally {
    await iterator.return?.();
  }
}

function tooLong(): ArchfarmError {
  return new ArchfarmError(
    'context-invalid',
    `the standard input has more than ${maxTextBytes} bytes of text, and so is no Dockerfile`,
    { hint: 'give a Dockerfile, or a tar archive, plain or compressed with gzip' },
  );
}

function isText(start: Buffer): boolean {
  if (start.length === 0 || bzip2.test(start.toString('latin1', 0, 4))) return false;
  return start.every((byte) => byte >= 0x20 || layout.has(byte));
}

/** The body of an HTTP answer, read up to a bound. */
import type { IncomingMessage } from 'node:http';

/** Bytes of one line of an event stream; a frame carries at most 64 KiB of log, escaped. */
const maxLine = 1024 * 1024;

/** The whole body; throws when it is larger than `limit` bytes. */
export async function readText(answer: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunksOf(answer)) {
    size += chunk.length;
    if (size > limit) throw new Error(`the answer is larger than ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Whole lines; empty ones, which keep a quiet connection alive, are left out. */
export async function* readLines(answer: IncomingMessage): AsyncGenerator<string> {
  let pending: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunksOf(answer)) {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
      const line = Buffer.concat([...pending, chunk.subarray(start, end)]);
      pending = [];
      size = 0;
      start = end + 1;
      if (line.length > 0) yield line.toString('utf8');
    }
    pending.push(chunk.subarray(start));
    size += chunk.length - start;
    if (size > maxLine) throw new Error(`a line is longer than ${maxLine} bytes`);
  }
  // What is left is half a frame: the stream broke, and whoever follows asks for it again.
}

function chunksOf(answer: IncomingMessage): AsyncIterable<Buffer> {
  return answer;
}

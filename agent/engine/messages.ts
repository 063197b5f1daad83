/** The JSON messages that an engine streams while it builds or pushes, one a line. */
import type { Readable } from 'node:stream';
import * as v from 'valibot';

const schema = v.object({
  id: v.optional(v.string()),
  status: v.optional(v.string()),
  error: v.optional(v.string()),
  errorDetail: v.nullish(v.object({ message: v.optional(v.string()) })),
  progressDetail: v.optional(v.object({ current: v.nullish(v.number()), total: v.nullish(v.number()) })),
  /** What it is depends on `id`; absent is `undefined`. */
  aux: v.optional(v.unknown()),
});

export type EngineMessage = v.InferOutput<typeof schema>;

/** A line carries one status of BuildKit, in base64; a step's whole burst of output may be in it. */
const maxLineBytes = 32 << 20;

/** Throws on anything that is not a message, and what the stream throws. */
export async function* readMessages(stream: Readable): AsyncGenerator<EngineMessage, void, undefined> {
  let pending: Buffer[] = [];
  let length = 0;
  const chunks: AsyncIterable<Buffer> = stream;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', start)) {
      // Cut as bytes: a character may be split between chunks, a line feed is never part of one.
      const line = Buffer.concat([...pending, chunk.subarray(start, end)]).toString('utf8');
      if (line.trim() !== '') yield parse(line);
      pending = [];
      length = 0;
      start = end + 1;
    }
    pending.push(chunk.subarray(start));
    length += chunk.length - start;
    if (length > maxLineBytes) throw new Error(`the engine sent a line of more than ${maxLineBytes} bytes`);
  }
  const rest = Buffer.concat(pending).toString('utf8');
  if (rest.trim() !== '') yield parse(rest);
}

/** The text of an error message, if it is one. */
export function errorOf(message: EngineMessage): string | undefined {
  return message.errorDetail?.message || message.error;
}

function parse(line: string): EngineMessage {
  try {
    return v.parse(schema, JSON.parse(line));
  } catch (cause) {
    throw new Error(`the engine sent something that is no message: ${JSON.stringify(line.slice(0, 200))}`, {
      cause,
    });
  }
}

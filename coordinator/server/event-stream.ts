/** A build's log on its way to a follower. */
import { once } from 'node:events';
import type { FastifyReply } from 'fastify';

export interface StreamOptions {
  /** Aborts when the follower is gone. */
  readonly signal: AbortSignal;
  /** Milliseconds that it may take nothing of what it is sent. */
  readonly patience: number;
}

/** Milliseconds between empty lines on a stream where nothing happens, so that no proxy takes it for dead. */
const keepAlive = 15_000;

/** Lines, as fast as the client takes them: a slow one costs a file position and one piece of the file. */
export async function sendFrames(
  reply: FastifyReply,
  lines: AsyncIterable<Buffer>,
  { signal, patience }: StreamOptions,
): Promise<void> {
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  raw.flushHeaders();
  const timer = setInterval(() => raw.write('\n'), keepAlive);
  try {
    for await (const piece of lines) {
      if (!raw.write(piece)) await taken(raw, { signal, patience });
    }
    raw.end();
  } catch (error) {
    // The status line is gone already; a cut stream tells the client to ask again.
    raw.destroy(signal.aborted ? undefined : error instanceof Error ? error : new Error(String(error)));
  } finally {
    clearInterval(timer);
  }
}

/** A client that takes nothing is cut off; when it reads again, it asks for what comes after the last it has. */
async function taken(raw: FastifyReply['raw'], { signal, patience }: StreamOptions): Promise<void> {
  const late = setTimeout(() => raw.destroy(), patience);
  try {
    await once(raw, 'drain', { signal });
  } finally {
    clearTimeout(late);
  }
}

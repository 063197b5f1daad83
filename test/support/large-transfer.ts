/** Sends itself a content of 120 MiB and prints the bytes received and those by which its memory grew at most. */
import { createHash } from 'node:crypto';
import { Chunker } from '../../shared/context/chunker.ts';
import { encodeRecipe } from '../../shared/context/chunks.ts';
import { BlobReceiver } from '../../shared/context/receiver.ts';
import type { ContentSource } from '../../shared/context/sender.ts';
import { BlobStore } from '../../shared/context/store.ts';
import { contextServer } from './context-server.ts';

const piece = Buffer.alloc(64 * 1024, 'archfarm');
const pieces = 120 * 16;
const size = pieces * piece.length;

// No two alike, so that no chunk is.
function* content(): Generator<Buffer> {
  for (let count = 0; count < pieces; count++) {
    piece.writeUInt32BE(count);
    yield piece;
  }
}

const hash = createHash('sha256');
const chunker = new Chunker();
for (const bytes of content()) {
  hash.update(bytes);
  chunker.push(bytes);
}
const digest = `sha256:${hash.digest('hex')}`;
const recipe = encodeRecipe(chunker.finish());

const source: ContentSource = {
  open: async (item) => {
    if (item.kind === 'recipe') return { size: recipe.length, chunks: one(recipe) };
    return { size: item.size, chunks: one(range(item.offset, item.size)) };
  },
};

function range(offset: number, bytes: number): Buffer {
  const first = Math.floor(offset / piece.length);
  const all = Buffer.concat(
    Array.from({ length: Math.ceil(bytes / piece.length) + 1 }, (_, index) => {
      const copy = Buffer.from(piece);
      copy.writeUInt32BE(first + index);
      return copy;
    }),
  );
  return all.subarray(offset - first * piece.length).subarray(0, bytes);
}

async function* one(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

const signal = AbortSignal.timeout(300_000);
const server = await contextServer(source);
const store = await BlobStore.open(process.argv[2] ?? '');
const receiver = new BlobReceiver({ store });
const socket = await server.dial();
const attached = receiver.attach(socket, signal);

const before = process.memoryUsage().rss;
let highest = before;
let received = 0;
// Two follow it, and one of them does not read on.
const idle = (await receiver.blob(digest, size, signal))[Symbol.asyncIterator]();
await idle.next();
for await (const chunk of await receiver.blob(digest, size, signal)) {
  received += chunk.length;
  highest = Math.max(highest, process.memoryUsage().rss);
}
await idle.return?.();

socket.close();
await attached;
await server[Symbol.asyncDispose]();
await store[Symbol.asyncDispose]();
process.stdout.write(`${received} ${highest - before}`);

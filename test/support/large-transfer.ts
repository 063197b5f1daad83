/** Sends itself a content of 200 MiB and prints the bytes received and those by which its memory grew at most. */
import { createHash } from 'node:crypto';
import { BlobReceiver } from '../../shared/context/receiver.ts';
import type { ContentSource } from '../../shared/context/sender.ts';
import { BlobStore } from '../../shared/context/store.ts';
import { contextServer } from './context-server.ts';

const piece = Buffer.alloc(64 * 1024, 'archfarm');
const pieces = 200 * 16;
const size = pieces * piece.length;

const hash = createHash('sha256');
for (let count = 0; count < pieces; count++) hash.update(piece);
const digest = `sha256:${hash.digest('hex')}`;

async function* content(): AsyncGenerator<Buffer> {
  for (let count = 0; count < pieces; count++) yield Buffer.from(piece);
}

const source: ContentSource = { open: async () => ({ size, chunks: content() }) };
const signal = AbortSignal.timeout(60_000);
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

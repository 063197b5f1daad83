/**
 * Bytes on the wire of each hop when 4 KiB of one large file change: the client scans its directory and serves it to a
 * coordinator, which serves an agent. Both directions count, with the tree, its times, frames and questions. All of it is in
 * one process, over real sockets and stores.
 */
import { createCipheriv, randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, rename, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { WebSocket, WebSocketServer } from 'ws';
import { scanContext } from '../../coordinator/context/scan.ts';
import { SnapshotSource } from '../../coordinator/context/snapshot.ts';
import { buffers } from '../../shared/context/buffers.ts';
import { fetchTree } from '../../shared/context/fetch-tree.ts';
import { defaultLimits } from '../../shared/context/limits.ts';
import { BlobReceiver } from '../../shared/context/receiver.ts';
import { sendContents, type ContentSource } from '../../shared/context/sender.ts';
import { BlobStore } from '../../shared/context/store.ts';
import { median } from './figures.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '5' }, megabytes: { type: 'string', default: '500' } },
});
const runs = Number(values.runs);
const size = Number(values.megabytes) * 1_000_000;
const pieceBytes = 4_000_000;
const editBytes = 4096;

const directory = await mkdtemp(join(tmpdir(), 'archfarm-edits-'));
const context = join(directory, 'context');
const file = join(context, 'large');
const statCache = join(directory, 'stat');
const stop = new AbortController();
const { signal } = stop;
const limits = { ...defaultLimits, command: 'build' } as const;

/** Without any pattern. */
async function writeFile(): Promise<void> {
  await mkdir(context);
  const cipher = createCipheriv('aes-128-ctr', randomBytes(16), randomBytes(16));
  const handle = await open(file, 'w');
  for (let at = 0; at < size; at += pieceBytes)
    await handle.write(cipher.update(Buffer.alloc(Math.min(pieceBytes, size - at))));
  await handle.close();
}

async function overwrite(): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.write(randomBytes(editBytes), 0, editBytes, randomInt(size - editBytes));
  await handle.close();
}

/** As an editor does that writes the file anew. */
async function insert(): Promise<void> {
  const [from, to] = [await open(file, 'r'), await open(`${file}.new`, 'w')];
  const at = randomInt(1, size);
  for await (const piece of buffers(from.createReadStream({ end: at - 1, autoClose: false })))
    await to.write(piece);
  await to.write(randomBytes(editBytes));
  for await (const piece of buffers(from.createReadStream({ start: at }))) await to.write(piece);
  await to.close();
  await rename(`${file}.new`, file);
}

/** Receives from the source over a socket whose bytes are counted. */
async function hop(source: () => ContentSource, receiver: BlobReceiver): Promise<() => number> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  await once(server, 'listening');
  server.on('connection', (socket) => {
    sendContents(socket, { open: (item, end) => source().open(item, end) }, signal).catch(() => {});
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  const sockets: Socket[] = [];
  const socket = new WebSocket(`ws://127.0.0.1:${address.port}`, { perMessageDeflate: false });
  socket.once('upgrade', (response) => sockets.push(response.socket));
  await once(socket, 'open');
  receiver.attach(socket, signal, { givesPieces: true }).catch(() => {});
  signal.addEventListener('abort', () => server.close());
  return () => sockets.reduce((sum, { bytesRead, bytesWritten }) => sum + bytesRead + bytesWritten, 0);
}

await writeFile();
const coordinatorStore = await BlobStore.open(join(directory, 'coordinator'));
const agentStore = await BlobStore.open(join(directory, 'agent'));
const coordinator = new BlobReceiver({ store: coordinatorStore });
const agent = new BlobReceiver({ store: agentStore });
let client: ContentSource | undefined;
const wire = [
  await hop(() => {
    if (client === undefined) throw new Error('nothing is scanned yet');
    return client;
  }, coordinator),
  await hop(() => coordinator, agent),
] as const;

/** Everything a build of the directory moves. */
async function move(): Promise<readonly number[]> {
  const before = wire.map((bytes) => bytes());
  const snapshot = await scanContext(context, { statCache, signal });
  client = new SnapshotSource([snapshot]);
  for (const receiver of [coordinator, agent]) await fetchTree(snapshot, receiver, { limits, signal });
  const [entry] = (await agent.directory(snapshot.root, signal)).entries;
  if (entry?.type !== 'file') throw new Error('no file in the tree');
  for await (const piece of await agent.blob(entry.digest, entry.size, signal)) void piece;
  await coordinator.prefetch(entry.digest, entry.size, signal);
  return wire.map((bytes, index) => bytes() - (before[index] ?? 0));
}

try {
  await move();
  for (const [figure, edit] of [
    ['4 KiB overwritten', overwrite],
    ['4 KiB inserted', insert],
  ] as const) {
    const sent = [[], []] as [number[], number[]];
    for (let run = 0; run < runs; run++) {
      await edit();
      const [up = 0, down = 0] = await move();
      sent[0].push(up);
      sent[1].push(down);
    }
    for (const [index, bytes] of sent.entries()) {
      console.log(
        JSON.stringify({
          bench: 'edits',
          megabytes: Number(values.megabytes),
          figure,
          hop: index === 0 ? 'client to coordinator' : 'coordinator to agent',
          median: median(bytes),
          least: Math.min(...bytes),
          most: Math.max(...bytes),
          runs: bytes.length,
          unit: 'bytes',
        }),
      );
    }
  }
} finally {
  stop.abort(new Error('measured'));
  await coordinatorStore[Symbol.asyncDispose]();
  await agentStore[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
}
process.exit();

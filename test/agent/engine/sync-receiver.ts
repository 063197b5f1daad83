/** The engine's side of a file sync: takes the list of entries and asks for files, as fsutil's receiver does. */
import { constants, connect, type ClientHttp2Session } from 'node:http2';
import { once } from 'node:events';
import type { Duplex, Readable } from 'node:stream';
import { createHash } from 'node:crypto';
import { readFields, writeMessage } from '../../../agent/engine/protobuf.ts';

export interface ReceivedEntry {
  readonly path: string;
  readonly mode: number;
  readonly size: number;
  readonly mtime: bigint;
  readonly linkname: string;
}

export interface ReceivedTree {
  readonly entries: readonly ReceivedEntry[];
  /** Digests of the contents that were asked for, by path. */
  readonly contents: ReadonlyMap<string, string>;
  /** What the sender's error packet said. */
  readonly error: string | undefined;
  /** How the call ended; undefined when the connection broke. */
  readonly status: number | undefined;
}

export interface SyncRequest {
  /** `dir-name`, `followpaths`, `include-patterns`, `exclude-patterns`. */
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** Whether to ask for a file; all of them if not given. */
  readonly wants?: (entry: ReceivedEntry) => boolean;
  /** Hears of every piece of a content, and may pause what comes. */
  readonly onData?: (stream: Readable) => void;
}

/** Go's bits of directories and symbolic links. */
const notFile = 0x8800_0000;

const types = { stat: 0, request: 1, data: 2, finish: 3, error: 4 };

export function connectEngine(socket: Duplex): ClientHttp2Session {
  const session = connect('http://engine', { createConnection: () => socket });
  session.on('error', () => {});
  return session;
}

/** Resolves when the sender has ended the call, whatever it said. */
export async function receiveTree(session: ClientHttp2Session, request: SyncRequest): Promise<ReceivedTree> {
  const { wants = () => true, onData = () => {} } = request;
  const stream = session.request(
    {
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: '/moby.filesync.v1.FileSync/DiffCopy',
      'content-type': 'application/grpc',
      te: 'trailers',
      'dir-name': 'context',
      ...request.headers,
    },
    { endStream: false },
  );
  const entries: ReceivedEntry[] = [];
  const arriving = new Map<number, ReturnType<typeof createHash>>();
  const contents = new Map<string, string>();
  let error: string | undefined;
  let status: number | undefined;
  let isComplete = false;
  stream.on('error', () => {});
  // A call is over when its server has ended it.
  stream.on('end', () => stream.end());
  stream.on('trailers', (trailers) => (status = Number(trailers['grpc-status'])));
  const send = (packet: Buffer): void => {
    const header = Buffer.alloc(5);
    header.writeUInt32BE(packet.length, 1);
    stream.write(Buffer.concat([header, packet]));
  };
  const finishWhenComplete = (): void => {
    if (isComplete && arriving.size === 0) send(writeMessage([[1, types.finish]]));
  };

  const take = (message: Buffer): void => {
    const packet = decode(message);
    if (packet.type === types.error) {
      error = packet.data.toString();
    } else if (packet.type === types.stat && packet.stat === undefined) {
      isComplete = true;
      finishWhenComplete();
    } else if (packet.type === types.stat && packet.stat !== undefined) {
      const entry = decodeStat(packet.stat);
      const id = entries.push(entry) - 1;
      if ((entry.mode & notFile) !== 0 || entry.linkname !== '' || !wants(entry)) return;
      arriving.set(id, createHash('sha256'));
      send(
        writeMessage([
          [1, types.request],
          [3, id],
        ]),
      );
    } else if (packet.type === types.data) {
      const hash = arriving.get(packet.id);
      const path = entries[packet.id]?.path ?? '';
      if (hash === undefined) throw new Error(`data for entry ${packet.id}, which was not asked for`);
      onData(stream);
      if (packet.data.length > 0) {
        hash.update(packet.data);
        return;
      }
      contents.set(path, `sha256:${hash.digest('hex')}`);
      arriving.delete(packet.id);
      finishWhenComplete();
    } else if (packet.type === types.finish) {
      stream.end();
    }
  };

  let pending: Buffer[] = [];
  let length = 0;
  stream.on('data', (chunk: Buffer) => {
    pending.push(chunk);
    length += chunk.length;
    for (;;) {
      if (length < 5) return;
      if (pending[0]!.length < 5) pending = [Buffer.concat(pending)];
      const end = 5 + pending[0]!.readUInt32BE(1);
      if (length < end) return;
      const all = pending.length === 1 ? pending[0]! : Buffer.concat(pending);
      pending = all.length === end ? [] : [all.subarray(end)];
      length -= end;
      take(all.subarray(5, end));
    }
  });
  await once(stream, 'close').catch(() => {});
  return { entries, contents, error, status };
}

function decode(message: Buffer): { type: number; id: number; data: Buffer; stat: Buffer | undefined } {
  let type = types.stat;
  let id = 0;
  let data: Buffer = Buffer.alloc(0);
  let stat: Buffer | undefined;
  for (const { number, bytes, integer } of readFields(message)) {
    if (number === 1) type = Number(integer);
    else if (number === 2) stat = bytes;
    else if (number === 3) id = Number(integer);
    else if (number === 4) data = bytes;
  }
  return { type, id, data, stat };
}

function decodeStat(stat: Buffer): ReceivedEntry {
  const entry = { path: '', mode: 0, size: 0, mtime: 0n, linkname: '' };
  for (const { number, bytes, integer } of readFields(stat)) {
    if (number === 1) entry.path = bytes.toString();
    else if (number === 2) entry.mode = Number(integer);
    else if (number === 5) entry.size = Number(integer);
    else if (number === 6) entry.mtime = BigInt.asIntN(64, integer);
    else if (number === 7) entry.linkname = bytes.toString();
  }
  return entry;
}

/**
 * The packets of BuildKit's file sync.
 * https://github.com/tonistiigi/fsutil/blob/master/types/wire.proto and stat.proto
 */
import type { TreeEntry } from '../../shared/context/tree.ts';
import { readFields, writeMessage, writeMessageAround } from './protobuf.ts';

/** What the engine sends: which file it wants, that it has all, or why it gave up. */
export type RequestPacket =
  | { readonly type: 'request'; readonly id: number }
  | { readonly type: 'finish' }
  | { readonly type: 'error'; readonly text: string };

export interface StatFields {
  readonly path: string;
  readonly mode: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  readonly size?: number;
  readonly linkname?: string;
}

const types = { stat: 0, request: 1, data: 2, finish: 3, error: 4 };

export function decodeRequest(packet: Buffer): RequestPacket {
  let type = types.stat;
  let id = 0;
  let data: Buffer = Buffer.alloc(0);
  for (const { number, bytes, integer } of readFields(packet)) {
    if (number === 1) type = Number(integer);
    else if (number === 3) id = Number(integer);
    else if (number === 4) data = bytes;
  }
  if (type === types.request) return { type: 'request', id };
  if (type === types.finish) return { type: 'finish' };
  if (type === types.error) return { type: 'error', text: data.toString() };
  throw new Error(`the engine sent a file sync packet of type ${type}`);
}

export function statPacket({ path, mode, mtime, size = 0, linkname = '' }: StatFields): Buffer {
  // Owners stay 0: an image must not depend on who checked the files out.
  const stat = writeMessage([
    [1, path],
    [2, mode],
    [5, size],
    [6, mtime],
    [7, linkname],
  ]);
  return writeMessage([
    [1, types.stat],
    [2, stat],
  ]);
}

/** After the last entry. */
export const endOfStats = writeMessage([[1, types.stat]]);

/** A piece of the file that came at place `id` among the entries; not empty. In two parts, of which `data` is one. */
export function dataPacket(id: number, data: Buffer): Buffer[] {
  return writeMessageAround(
    [
      [1, types.data],
      [3, id],
    ],
    4,
    data,
  );
}

export function endOfFile(id: number): Buffer {
  return writeMessage([
    [1, types.data],
    [3, id],
  ]);
}

export const finishPacket = writeMessage([[1, types.finish]]);

/** Ends the build at once with `error from sender: <text>`. */
export function errorPacket(text: string): Buffer {
  return writeMessage([
    [1, types.error],
    [4, text],
  ]);
}

/** Go's FileMode, which keeps what is not a permission in bits of its own. */
export function goMode(type: TreeEntry['type'], mode: number): number {
  const kind = type === 'directory' ? 2 ** 31 : type === 'symlink' ? 2 ** 27 : 0;
  const setuid = mode & 0o4000 ? 2 ** 23 : 0;
  const setgid = mode & 0o2000 ? 2 ** 22 : 0;
  const sticky = mode & 0o1000 ? 2 ** 20 : 0;
  return kind + setuid + setgid + sticky + (mode & 0o777);
}

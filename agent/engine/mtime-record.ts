/**
 * The file of a record of served modification times, which one process at a time may open. It is only appended to, in blocks
 * that count when they are whole:
 *
 *     archfarm mtimes 2\n  generation                        18 and 16 bytes
 *     count  complement of count  crc32 of the ways  ways     12 bytes and 60 a way, numbers little endian
 */
import { randomBytes } from 'node:crypto';
import { open, rename, type FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { ServedFiles, wayBytes } from './served-files.ts';

/** What a record holds, and the file to append to. */
export interface OpenRecord {
  /** 32 hex digits, drawn when the record was begun. */
  readonly generation: string;
  readonly served: ServedFiles;
  readonly file: FileHandle;
}

const header = Buffer.from('archfarm mtimes 2\n');
const generationBytes = 16;
const blockHeaderBytes = 12;
/** Of one block: bounds what is in memory for it. */
const maxBlockWays = 16_384;
/** A file with this many ways for each that is known would only get slower to read. */
const maxRepeats = 2;

export async function createRecord(path: string): Promise<OpenRecord> {
  const generation = randomBytes(generationBytes).toString('hex');
  const file = await open(path, 'wx', 0o600);
  try {
    await file.appendFile(headerOf(generation));
    return { generation, served: new ServedFiles(seedOf(generation)), file };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Undefined for one that is not there or not as it was written. A last block that is torn was never served from. */
export async function openRecord(path: string): Promise<OpenRecord | undefined> {
  const file = await open(path, 'r+').catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const read = await readRecord(file);
    if (read === undefined) {
      await file.close();
      return undefined;
    }
    const { generation, served, ways, length } = read;
    if (ways > maxRepeats * served.size + maxBlockWays) {
      await file.close();
      return { generation, served, file: await rewrite(path, generation, served) };
    }
    await file.truncate(length);
    await file.close();
    return { generation, served, file: await open(path, 'a', 0o600) };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Resolves when they are on disk. */
export async function appendWays(
  file: FileHandle,
  served: ServedFiles,
  numbers: readonly number[],
): Promise<void> {
  for (let start = 0; start < numbers.length; start += maxBlockWays) {
    await file.appendFile(blockOf(served, numbers.slice(start, start + maxBlockWays)));
  }
  await file.datasync();
}

interface ReadRecord extends Omit<OpenRecord, 'file'> {
  /** In the file, repeated ones too. */
  readonly ways: number;
  /** Bytes of the header and whole blocks. */
  readonly length: number;
}

async function readRecord(file: FileHandle): Promise<ReadRecord | undefined> {
  const start = await readAt(file, header.length + generationBytes, 0);
  if (start === undefined || !start.subarray(0, header.length).equals(header)) return undefined;
  const generation = start.toString('hex', header.length);
  const served = new ServedFiles(seedOf(generation));
  let ways = 0;
  for (let at = start.length; ;) {
    const blockHeader = await readAt(file, blockHeaderBytes, at);
    if (blockHeader === undefined) return { generation, served, ways, length: at };
    const count = blockHeader.readUInt32LE(0);
    if (~count >>> 0 !== blockHeader.readUInt32LE(4) || count > maxBlockWays) return undefined;
    const block = await readAt(file, count * wayBytes, at + blockHeaderBytes);
    if (block === undefined) return { generation, served, ways, length: at };
    if (crc32(block) !== blockHeader.readUInt32LE(8)) return undefined;
    for (let offset = 0; offset < block.length; offset += wayBytes) served.load(block, offset);
    ways += count;
    at += blockHeaderBytes + block.length;
  }
}

/** Undefined where the file ends before. */
async function readAt(file: FileHandle, length: number, at: number): Promise<Buffer | undefined> {
  const bytes = Buffer.allocUnsafe(length);
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(bytes, done, length - done, at + done);
    if (bytesRead === 0) return undefined;
    done += bytesRead;
  }
  return bytes;
}

async function rewrite(path: string, generation: string, served: ServedFiles): Promise<FileHandle> {
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.appendFile(headerOf(generation));
    await appendWays(file, served, [...served.all()]);
    await rename(temporary, path);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

function blockOf(served: ServedFiles, numbers: readonly number[]): Buffer {
  const block = Buffer.allocUnsafe(blockHeaderBytes + numbers.length * wayBytes);
  for (const [index, number] of numbers.entries()) {
    served.copy(number, block, blockHeaderBytes + index * wayBytes);
  }
  block.writeUInt32LE(numbers.length, 0);
  block.writeUInt32LE(~numbers.length >>> 0, 4);
  block.writeUInt32LE(crc32(block.subarray(blockHeaderBytes)), 8);
  return block;
}

function seedOf(generation: string): [number, number] {
  const bytes = Buffer.from(generation, 'hex');
  return [bytes.readInt32LE(0), bytes.readInt32LE(4)];
}

function headerOf(generation: string): Buffer {
  return Buffer.concat([header, Buffer.from(generation, 'hex')]);
}

/**
 * The canonical bytes of a directory, its record: as they are stored and sent, and what its digest is the sha256 of.
 *
 * Encoding: `archfarm directory 1` and NUL, then for each entry, in byte order of the names, fields that each
 * end with NUL (which no name and no link target can hold):
 *
 *     f  name  mode  size  digest     a file: mode in four octal digits, size in decimal, digest in 64 hex digits
 *     d  name  mode  digest           a directory: the digest of its own encoding
 *     l  name  target                 a symbolic link
 *     h  name  target                 a hard link: path from the root of the tree
 */
import { hash } from 'node:crypto';
import { ArchfarmError } from '../errors.ts';
import type { Digest, Directory, TreeEntry } from './tree.ts';

/** What an encoding begins with. Raised with every change of it: that gives every tree a new digest. */
export const directoryHeader = 'archfarm directory 1\0';
const headerBytes = Buffer.from(directoryHeader);
/** What Linux takes as a name (NAME_MAX) and as a link target or path (PATH_MAX), in bytes. */
const maxNameBytes = 255;
const maxTargetBytes = 4096;
/** Bounds what a receiver must hold in memory for one directory. */
export const maxRecordBytes = 64 * 1024 * 1024;

const legalName = /^(?!\.{1,2}$)[^/\0\p{Cs}]+$/u;
const legalTarget = /^[^\0\p{Cs}]+$/u;
const hexDigest = /^[0-9a-f]{64}$/;
const prefix = 'sha256:';

export function digestOf(bytes: Uint8Array): Digest {
  return prefix + hash('sha256', bytes, 'hex');
}

/** Throws `context-invalid` for entries that no tree may hold: bad names, wrong order, modes, sizes, targets. */
export function encodeDirectory(directory: Directory): { digest: Digest; record: Buffer } {
  const record = encodeEntries(directory.entries);
  if (record.length > maxRecordBytes) {
    throw new ArchfarmError(
      'context-limit',
      `a directory takes more than ${maxRecordBytes} bytes to describe`,
    );
  }
  return { digest: digestOf(record), record };
}

/** Throws `context-invalid` unless the record is the one canonical form of a directory with this digest. */
export function decodeDirectory(digest: Digest, record: Buffer): Directory {
  if (digestOf(record) !== digest) throw invalid(`a directory record that is not ${digest}`);
  if (!record.subarray(0, headerBytes.length).equals(headerBytes))
    throw invalid(`${digest} is no directory record`);
  const entries = decodeEntries(record);
  // The fields were read leniently: only what encodes to the very same bytes was canonical.
  if (!encodeEntries(entries).equals(record)) throw invalid(`directory ${digest} is not in canonical form`);
  return { entries };
}

/** Order of the names' UTF-8 bytes, which is not the order of JavaScript's `<` beyond the basic plane. */
export function compareNames(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index++) {
    const a = left.charCodeAt(index);
    const b = right.charCodeAt(index);
    if (a !== b) return codePointRank(a) - codePointRank(b);
  }
  return left.length - right.length;
}

/** Ranks surrogates above the rest of the basic plane, as the code points that they stand for are. */
function codePointRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

function encodeEntries(entries: readonly TreeEntry[]): Buffer {
  const parts = [directoryHeader];
  let last: string | undefined;
  for (const entry of entries) {
    if (last !== undefined && compareNames(last, entry.name) >= 0) {
      throw invalid(`entries out of order: ${shown(last)}, ${shown(entry.name)}`);
    }
    last = entry.name;
    parts.push(encodeEntry(entry));
  }
  return Buffer.from(parts.join(''));
}

/** The fields of one entry, the digest being the last of those that have one. Throws as `encodeDirectory`, but for the order. */
export function encodeEntry(entry: TreeEntry): string {
  checkName(entry.name);
  switch (entry.type) {
    case 'file':
      return `f\0${entry.name}\0${octal(entry)}\0${decimal(entry)}\0${hex(entry)}\0`;
    case 'directory':
      return `d\0${entry.name}\0${octal(entry)}\0${hex(entry)}\0`;
    case 'symlink':
      if (!legalTarget.test(entry.target) || Buffer.byteLength(entry.target) > maxTargetBytes) {
        throw invalid(`link ${shown(entry.name)} has an illegal target`);
      }
      return `l\0${entry.name}\0${entry.target}\0`;
    case 'hardlink':
      if (Buffer.byteLength(entry.target) > maxTargetBytes) {
        throw invalid(`hard link ${shown(entry.name)} has an illegal target`);
      }
      for (const name of entry.target.split('/')) checkName(name);
      return `h\0${entry.name}\0${entry.target}\0`;
    default:
      return entry satisfies never;
  }
}

function decodeEntries(record: Buffer): TreeEntry[] {
  const fields = record.toString('utf8').split('\0');
  const entries: TreeEntry[] = [];
  for (let at = 1; at < fields.length - 1;) {
    const [type, name = '', first = '', second = '', third = ''] = fields.slice(at, at + 5);
    switch (type) {
      case 'f':
        entries.push({
          type: 'file',
          name,
          mode: Number.parseInt(first, 8),
          size: Number(second),
          digest: prefix + third,
        });
        at += 5;
        break;
      case 'd':
        entries.push({ type: 'directory', name, mode: Number.parseInt(first, 8), digest: prefix + second });
        at += 4;
        break;
      case 'l':
        entries.push({ type: 'symlink', name, target: first });
        at += 3;
        break;
      case 'h':
        entries.push({ type: 'hardlink', name, target: first });
        at += 3;
        break;
      default:
        throw invalid(`${shown(name)} is an entry of the unknown type ${shown(type ?? '')}`);
    }
  }
  return entries;
}

function checkName(name: string): void {
  if (!legalName.test(name)) throw invalid(`illegal name ${shown(name)}`);
  if (Buffer.byteLength(name) > maxNameBytes) {
    throw invalid(`name ${shown(name)} is longer than ${maxNameBytes} bytes`);
  }
}

function octal(entry: { name: string; mode: number }): string {
  if (!Number.isInteger(entry.mode) || entry.mode < 0 || entry.mode > 0o7777) {
    throw invalid(`${shown(entry.name)} has an illegal mode`);
  }
  return entry.mode.toString(8).padStart(4, '0');
}

function decimal(entry: { name: string; size: number }): string {
  if (!Number.isSafeInteger(entry.size) || entry.size < 0) {
    throw invalid(`${shown(entry.name)} has an illegal size`);
  }
  return String(entry.size);
}

function hex(entry: { name: string; digest: Digest }): string {
  const digits = entry.digest.slice(prefix.length);
  if (!entry.digest.startsWith(prefix) || !hexDigest.test(digits)) {
    throw invalid(`${shown(entry.name)} has an illegal digest`);
  }
  return digits;
}

/** On one line, and not the whole of one that a hostile peer made as long as a message. */
function shown(name: string): string {
  return name.length <= maxNameBytes
    ? JSON.stringify(name)
    : `${JSON.stringify(name.slice(0, maxNameBytes))}…`;
}

function invalid(what: string): ArchfarmError {
  return new ArchfarmError('context-invalid', `not a valid tree: ${what}`);
}

/**
 * What a build context is: a Merkle tree of directories whose digests depend only on what an image could see
 * (names, types, modes, link targets, contents), plus the contents themselves, found by sha256.
 * Modification times are no part of a directory's digest: they lie beside the tree, see times.ts.
 */

/** `sha256:` and 64 hex digits. */
export type Digest = string;

export interface FileEntry {
  readonly type: 'file';
  readonly name: string;
  /** The twelve permission bits (with setuid, setgid, sticky). */
  readonly mode: number;
  /** Bytes. */
  readonly size: number;
  readonly digest: Digest;
}

export interface DirectoryEntry {
  readonly type: 'directory';
  readonly name: string;
  readonly mode: number;
  /** Digest of the directory's encoding. */
  readonly digest: Digest;
}

export interface SymlinkEntry {
  readonly type: 'symlink';
  readonly name: string;
  /** As readlink gives it; never followed by us. */
  readonly target: string;
}

/** A further name of a file that comes earlier in walk order. */
export interface HardlinkEntry {
  readonly type: 'hardlink';
  readonly name: string;
  /** Path from the root of the tree, no leading slash, of the first name of the group in walk order. */
  readonly target: string;
}

export type TreeEntry = FileEntry | DirectoryEntry | SymlinkEntry | HardlinkEntry;

/** One directory, as it is stored and sent. */
export interface Directory {
  /** In byte order of their names' UTF-8; names are unique, hold no `/` or NUL, and are not `.` or `..`. */
  readonly entries: readonly TreeEntry[];
}

/** Where the modification times of a directory's entries are found. */
export interface TimesId {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** A tree, and the modification times of what is in it: 0 where nobody can see them. */
export interface TreeId {
  /** Digest of the root. */
  readonly root: Digest;
  readonly times?: TimesId | undefined;
}

/** Where the parts of a tree come from: a local disk, a store, the other end of a link. */
export interface ContextSource {
  /** Throws `blobs-lost` or `context-changed` when nobody can give it. */
  directory(digest: Digest, signal: AbortSignal): Promise<Directory>;
  /** The content of a file. The stream is destroyed with an error when the bytes are not those of the digest. */
  blob(digest: Digest, size: number, signal: AbortSignal): Promise<AsyncIterable<Buffer>>;
}

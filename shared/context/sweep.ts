/**
 * Keeps a store within its bounds: what nobody used for long goes, and above the size the least recently used. Other
 * processes see only times of use, so those of what is pinned here are renewed.
 */
import type { Packs } from './packs.ts';
import type { Recipes } from './recipes.ts';
import type { FileItem, StoreFiles } from './store-files.ts';
import type { Digest } from './tree.ts';

export interface StoreBounds {
  /** Bytes on disk; what was used in the last minutes is kept even above it. */
  readonly maxBytes: number;
  /** Milliseconds after which what nobody used goes. */
  readonly maxAge: number;
  /** Milliseconds for which what was used, by any process, is kept. */
  readonly recent: number;
}

/** Digests that somebody relies on; may grow meanwhile. */
export interface PinnedDigests extends Iterable<Digest> {
  has(digest: Digest): boolean;
}

export interface Pin {
  readonly digests: PinnedDigests;
}

export interface SweptStore {
  readonly files: StoreFiles;
  readonly packs: Packs;
  readonly recipes: Recipes;
  /** Some may come meanwhile. */
  readonly pins: Iterable<Pin>;
}

/** What goes as one: a pack, by its name, or a file. */
interface Unit {
  readonly name: string | FileItem;
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly usedAt: number;
}

/** A little below the size, so that the next content does not begin the next sweep. */
const target = 0.95;
/** When what is pinned was last used. */
const always = Infinity;

export interface Swept {
  /** Bytes that are left. */
  readonly bytes: number;
  /** Bytes that went. */
  readonly freed: number;
}

/** Above the size, and until so many bytes of room are made on a full disk, what can goes. */
export async function sweep(store: SweptStore, bounds: StoreBounds, room = 0): Promise<Swept> {
  const now = Date.now();
  const uses = await usesOf(store);
  const candidates: { readonly unit: Unit; readonly usedAt: number }[] = [];
  let bytes = 0;
  let freed = 0;
  for await (const unit of unitsOf(store)) {
    const usedAt = Math.max(unit.usedAt, useOf(unit, uses, store));
    const unused = now - usedAt;
    if (unused > bounds.maxAge && (await remove(unit, store))) {
      freed += unit.bytes;
      continue;
    }
    bytes += unit.bytes;
    if (unused >= bounds.recent) candidates.push({ unit, usedAt });
    else if (usedAt === always && now - unit.usedAt > bounds.recent / 3) await touch(unit, store);
  }
  const most = Math.min(bounds.maxBytes, bytes - room);
  if (bytes > most) {
    for (const { unit } of candidates.toSorted((left, right) => left.usedAt - right.usedAt)) {
      if (bytes <= most * target) break;
      if (!(await remove(unit, store))) continue;
      bytes -= unit.bytes;
      freed += unit.bytes;
    }
  }
  return { bytes, freed };
}

/** Uses of packs and chunks that come from what needs them: by name of the pack, by digest of a chunk that is a file. */
async function usesOf({ packs, recipes, pins }: SweptStore): Promise<ReadonlyMap<string, number>> {
  const uses = new Map<string, number>();
  for (const { digests } of pins) {
    for (const digest of digests) {
      for (const kind of ['blob', 'directory'] as const) {
        const pack = packs.packOf({ kind, digest });
        if (pack !== undefined) uses.set(pack, always);
      }
    }
  }
  for await (const { file, recipe } of recipes.list()) {
    const use = isPinned(file.digest, pins) ? always : file.usedAt;
    for (const { digest } of recipe) {
      const name = packs.packOf({ kind: 'blob', digest }) ?? digest;
      uses.set(name, Math.max(use, uses.get(name) ?? 0));
    }
  }
  return uses;
}

function useOf({ name }: Unit, uses: ReadonlyMap<string, number>, { pins }: SweptStore): number {
  if (typeof name === 'string') return uses.get(name) ?? 0;
  if (isPinned(name.digest, pins)) return always;
  return name.kind === 'blob' ? (uses.get(name.digest) ?? 0) : 0;
}

function isPinned(digest: Digest, pins: Iterable<Pin>): boolean {
  for (const { digests } of pins) if (digests.has(digest)) return true;
  return false;
}

async function* unitsOf({ packs, files }: SweptStore): AsyncGenerator<Unit> {
  yield* await packs.usage();
  for await (const { kind, digest, size, usedAt } of files.list()) {
    yield { name: { kind, digest }, bytes: size, usedAt };
  }
}

function touch({ name }: Unit, { packs, files }: SweptStore): Promise<void> {
  return typeof name === 'string' ? packs.touch(name) : files.touch(name);
}

/** False when it was used or pinned since it was looked at. */
async function remove(unit: Unit, { packs, files, pins }: SweptStore): Promise<boolean> {
  const { name } = unit;
  if (typeof name === 'string') return packs.remove({ ...unit, name }, (digest) => isPinned(digest, pins));
  const found = await files.find(name);
  if ((found !== undefined && found.usedAt > unit.usedAt) || isPinned(name.digest, pins)) return false;
  await files.remove(name);
  return true;
}

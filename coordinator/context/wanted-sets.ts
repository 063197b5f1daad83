/**
 * What the tasks of one build want of its trees. An engine that opens a tree selects a part of it; until a task's
 * engine did, it may come to want all of that tree.
 */
import { everything, type Selection } from '../../shared/context/select.ts';
import type { Digest } from '../../shared/context/tree.ts';

/** A part of a tree. */
export interface WantedPart {
  /** Equal parts have equal keys. */
  readonly key: string;
  readonly root: Digest;
  readonly selection: Selection;
  /** Whether an engine asked for it; if not, it is all of a tree that none of a task's engines opened. */
  readonly isSelected: boolean;
}

export interface TaskAttempt {
  readonly platform: string;
  readonly number: number;
}

/** What one task is known to want of one tree: the selections of its latest attempt. */
interface KnownParts {
  attempt: number;
  /** Whether its engine opened the tree for more than to read an ignore file. */
  isOpened: boolean;
  readonly parts: Map<string, WantedPart>;
}

/**
 * Of a selection, beyond which it is taken for all of its tree: each of them is held against each entry. That costs
 * transfers that nobody needs; a longer list would cost minutes of a processor, as often as an agent likes.
 */
const maxPatterns = { count: 1000, bytes: 64 * 1024 };

/** Of one task in one tree, beyond which it wants everything: bounds what agents can make us remember. */
const maxParts = 64;

export class WantedSets {
  readonly #roots: readonly Digest[];
  /** By platform and root. */
  readonly #known = new Map<string, KnownParts>();

  constructor(roots: readonly Digest[]) {
    this.#roots = [...new Set(roots)];
  }

  /** Takes a selection that an attempt's engine made. Selections of trees of other builds count for nothing. */
  note({ platform, number }: TaskAttempt, root: Digest, asked: Selection): void {
    if (!this.#roots.includes(root)) return;
    const selection = isLong(asked) ? everything : asked;
    const id = `${platform} ${root}`;
    const known = this.#known.get(id) ?? { attempt: number, isOpened: false, parts: new Map() };
    this.#known.set(id, known);
    if (number < known.attempt) return;
    const opens = !readsIgnoreFile(selection);
    // What an earlier attempt wanted holds until this one says it all: the ignore file is read long before the rest.
    if (number > known.attempt && opens) {
      known.attempt = number;
      for (const [key, part] of known.parts) if (!readsIgnoreFile(part.selection)) known.parts.delete(key);
    }
    known.isOpened ||= opens;
    const part = partOf(root, known.parts.size < maxParts ? selection : everything, true);
    known.parts.set(part.key, part);
  }

  /** What these tasks want together, each part once, selected ones first. */
  of(platforms: readonly string[]): WantedPart[] {
    const selected = new Map<string, WantedPart>();
    const whole = new Map<string, WantedPart>();
    for (const platform of platforms) {
      for (const root of this.#roots) {
        const known = this.#known.get(`${platform} ${root}`);
        for (const part of known?.parts.values() ?? []) selected.set(part.key, part);
        if (known?.isOpened === true) continue;
        const part = partOf(root, everything, false);
        whole.set(part.key, part);
      }
    }
    return [...selected.values(), ...[...whole.values()].filter(({ key }) => !selected.has(key))];
  }
}

function partOf(root: Digest, selection: Selection, isSelected: boolean): WantedPart {
  const { followPaths, includePatterns, excludePatterns } = selection;
  const key = JSON.stringify([root, followPaths, includePatterns, excludePatterns]);
  return { key, root, selection, isSelected };
}

function isLong({ followPaths, includePatterns, excludePatterns }: Selection): boolean {
  const texts = [...followPaths, ...includePatterns, ...excludePatterns];
  if (texts.length > maxPatterns.count) return true;
  let bytes = 0;
  for (const text of texts) bytes += Buffer.byteLength(text);
  return bytes > maxPatterns.bytes;
}

/** Engines first open a context for its ignore file alone, and once more when they know what they will copy. */
function readsIgnoreFile({ followPaths, includePatterns }: Selection): boolean {
  return (
    followPaths.length > 0 &&
    includePatterns.length === 0 &&
    followPaths.every((path) => path.endsWith('.dockerignore'))
  );
}

/**
 * Brings all directories of a tree and its times here and checks what only the whole tree can show: its limits and its
 * hard links.
 */
import { DigestSet } from './digest-set.ts';
import { checkLimit, type ContextLimits } from './limits.ts';
import { everything, select } from './select.ts';
import { readTimes, Times } from './times.ts';
import type { ContextSource, Directory, TimesId, TreeId } from './tree.ts';

export interface FetchedTree {
  readonly files: number;
  /** Of all files. */
  readonly bytes: number;
  readonly entries: number;
  /** Of all directories, times and contents: what may be asked for in the name of this tree. */
  readonly digests: DigestSet;
  /** Of all directories, and of all their times. */
  readonly directories: DigestSet;
  readonly times: DigestSet;
}

/** Directories asked for at once: enough to fill batches, few enough to hold in memory. */
const atOnce = 64;

/** Throws `context-limit` or `context-invalid`. Contents of files are not fetched. */
export async function fetchTree(
  tree: TreeId,
  source: ContextSource,
  { limits, signal }: { readonly limits: ContextLimits; readonly signal: AbortSignal },
): Promise<FetchedTree> {
  const census = new Census(tree, limits);
  // Level by level, by path and not by digest: a small set of records can describe a tree without end.
  for (let level: readonly Place[] = [{ ...tree, path: '' }]; level.length > 0;) {
    const below: Place[] = [];
    for (let at = 0; at < level.length; at += atOnce) {
      const read = reader(source, signal);
      // Each is counted as it comes, so that none has to be kept for the others.
      const counted = level.slice(at, at + atOnce).map(async (place) => {
        const { directory, times } = await read(place);
        return census.count(place.path, directory, times);
      });
      for (const places of await Promise.all(counted)) below.push(...places);
    }
    level = below;
  }
  if (census.hasLinks) await checkLinks(tree, source, signal);
  return census;
}

interface ReadDirectory {
  readonly directory: Directory;
  readonly times: Times | undefined;
}

/** Reads what is in several places once: where few records describe very many directories, that is all the work there is. */
function reader(source: ContextSource, signal: AbortSignal): (tree: TreeId) => Promise<ReadDirectory> {
  const known = new Map<string, Promise<ReadDirectory>>();
  const read = async ({ root, times }: TreeId): Promise<ReadDirectory> => {
    const [directory, bytes] = await Promise.all([
      source.directory(root, signal),
      times === undefined ? undefined : readTimes(times, source, signal),
    ]);
    return { directory, times: bytes && new Times(bytes, directory) };
  };
  return (tree) => {
    const key = `${tree.root} ${tree.times?.digest} ${tree.times?.size}`;
    const reading = known.get(key) ?? read(tree);
    known.set(key, reading);
    return reading;
  };
}

interface Place extends TreeId {
  readonly path: string;
}

class Census implements FetchedTree {
  files = 0;
  bytes = 0;
  entries = 0;
  hasLinks = false;
  readonly digests: DigestSet;
  readonly directories: DigestSet;
  readonly times: DigestSet;
  readonly #limits: ContextLimits;

  constructor({ root, times }: TreeId, limits: ContextLimits) {
    this.directories = new DigestSet([root]);
    this.times = new DigestSet(times === undefined ? [] : [times.digest]);
    this.digests = new DigestSet([...this.directories, ...this.times]);
    this.#limits = limits;
  }

  /** Gives the directories in it. */
  count(parent: string, directory: Directory, times: Times | undefined): Place[] {
    const below: Place[] = [];
    this.entries += directory.entries.length;
    checkLimit(this.#limits, { limit: 'entries', value: this.entries });
    for (const entry of directory.entries) {
      const path = parent === '' ? entry.name : `${parent}/${entry.name}`;
      checkLimit(this.#limits, { limit: 'nameBytes', value: Buffer.byteLength(entry.name), where: path });
      checkLimit(this.#limits, { limit: 'pathBytes', value: Buffer.byteLength(path), where: path });
      if (entry.type === 'file' || entry.type === 'directory') this.digests.add(entry.digest);
      if (entry.type === 'directory') {
        this.directories.add(entry.digest);
        below.push({ path, root: entry.digest, times: this.#addTimes(times?.below(below.length)) });
      }
      if (entry.type === 'hardlink') this.hasLinks = true;
      if (entry.type !== 'file') continue;
      this.files += 1;
      this.bytes += entry.size;
      checkLimit(this.#limits, { limit: 'bytes', value: this.bytes });
    }
    return below;
  }

  #addTimes(times: TimesId | undefined): TimesId | undefined {
    if (times === undefined) return undefined;
    this.times.add(times.digest);
    this.digests.add(times.digest);
    return times;
  }
}

/** Walking all of it does: a hard link must lead to a file that comes before it. */
async function checkLinks(
  { root }: TreeId,
  source: Pick<ContextSource, 'directory'>,
  signal: AbortSignal,
): Promise<void> {
  const walk = select({ root }, everything, source, signal);
  while ((await walk.next()).done !== true);
}

/**
 * Files with several names in a selection: the first name that is selected stands for the file, the others link to it.
 * Names are not kept for this. What a hard link leads to is looked up, and the filter is asked again about that.
 */
import { ArchfarmError } from '../errors.ts';
import { DirectoryCache } from './directory-cache.ts';
import { compareNames } from './encoding.ts';
import { entryNamed, findDirectory, type TreeReader } from './lookup.ts';
import type { FilterState, SelectionFilter } from './selection-filter.ts';
import type { Directory, FileEntry, HardlinkEntry } from './tree.ts';

/** What a hard link of the tree is in a selection. */
export type RegroupedLink =
  | { readonly entry: FileEntry; readonly file?: undefined }
  | {
      readonly entry: HardlinkEntry;
      /** What it is another name of. */
      readonly file: FileEntry;
    };

/** A directory that a hard link leads to. */
interface Parent {
  readonly path: string;
  /** Undefined where there is none. */
  readonly directory: Directory | undefined;
  /** Undefined where the walk does not come. */
  readonly state: FilterState | undefined;
}

export class LinkGroups {
  readonly #tree: TreeReader;
  readonly #filter: SelectionFilter;
  /** Of files whose own first name is not selected: the first that is. */
  readonly #substitutes = new Map<string, { readonly path: string; readonly file: FileEntry }>();
  /** Of the last link: the next one often leads to the same directory. */
  #parent: Parent | undefined;

  constructor(tree: TreeReader, filter: SelectionFilter) {
    this.#tree = { ...tree, source: new DirectoryCache(tree.source) };
    this.#filter = filter;
  }

  /** Of a selected link at `path`. Throws `context-invalid` for one that leads to something else than an earlier file. */
  async regroup(path: string, link: HardlinkEntry): Promise<RegroupedLink> {
    const substitute = this.#substitutes.get(link.target);
    if (substitute !== undefined) {
      return { entry: { ...link, target: substitute.path }, file: substitute.file };
    }
    const end = link.target.lastIndexOf('/');
    const parent = await this.#parentAt(link.target.slice(0, Math.max(end, 0)));
    const name = link.target.slice(end + 1);
    const original = parent.directory && entryNamed(parent.directory, name);
    if (original?.type !== 'file' || !precedes(link.target, path)) {
      throw new ArchfarmError(
        'context-invalid',
        `not a valid tree: ${JSON.stringify(path)} is a hard link to ${JSON.stringify(link.target)}, which is no earlier file`,
      );
    }
    if (parent.state !== undefined && this.#filter.selects(parent.state, name)) {
      return { entry: link, file: original };
    }
    const file = { ...original, name: link.name };
    this.#substitutes.set(link.target, { path, file });
    return { entry: file };
  }

  async #parentAt(path: string): Promise<Parent> {
    if (this.#parent?.path === path) return this.#parent;
    const directory = await findDirectory(this.#tree, path);
    return (this.#parent = { path, directory, state: this.#stateIn(path) });
  }

  #stateIn(directory: string): FilterState | undefined {
    let state = this.#filter.root;
    let path = '';
    for (const name of directory === '' ? [] : directory.split('/')) {
      path = path === '' ? name : `${path}/${name}`;
      const verdict = this.#filter.enter(state, name, path);
      if (!verdict.descend) return undefined;
      state = verdict.state;
    }
    return state;
  }
}

/** In walk order: by the first names that differ. */
function precedes(left: string, right: string): boolean {
  const lefts = left.split('/');
  const rights = right.split('/');
  const differ = lefts.findIndex((name, index) => name !== rights[index]);
  return differ !== -1 && compareNames(lefts[differ]!, rights[differ] ?? '') < 0;
}

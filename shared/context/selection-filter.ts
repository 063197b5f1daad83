/** Include and exclude patterns together, as a walk asks them: what is selected, and where something may be. */
import { Matcher, type WalkState } from './ignore.ts';

/** What holds in one directory. */
export interface FilterState {
  readonly include: WalkState | undefined;
  readonly exclude: WalkState | undefined;
}

/** Of a directory. */
export interface DirectoryVerdict {
  readonly selected: boolean;
  /** Something in it may be selected. */
  readonly descend: boolean;
  /** What holds in it. */
  readonly state: FilterState;
}

export class SelectionFilter {
  readonly root: FilterState;
  readonly #include: Matcher | undefined;
  readonly #exclude: Matcher | undefined;

  /** No patterns include everything and exclude nothing. Throws `context-invalid` naming a pattern that is not one. */
  constructor(includes: readonly string[], excludes: readonly string[]) {
    this.#include = includes.length === 0 ? undefined : new Matcher(includes);
    this.#exclude = excludes.length === 0 ? undefined : new Matcher(excludes);
    this.root = { include: this.#include?.root, exclude: this.#exclude?.root };
  }

  /** Whether what is no directory is selected. */
  selects(parent: FilterState, name: string): boolean {
    const { include, exclude } = parent;
    if (include !== undefined && this.#include?.matches(include, name) === false) return false;
    return exclude === undefined || this.#exclude?.matches(exclude, name) !== true;
  }

  enter(parent: FilterState, name: string, path: string): DirectoryVerdict {
    const included = parent.include && this.#include?.enter(parent.include, name);
    const excluded = parent.exclude && this.#exclude?.enter(parent.exclude, name);
    const isOutside = included?.matched === false;
    const isExcluded = excluded?.matched === true;
    return {
      selected: !isOutside && !isExcluded,
      descend:
        (!isOutside || this.#include?.reaches(path, { negated: false }) === true) &&
        (!isExcluded || this.#exclude?.reaches(path, { negated: true }) === true),
      state: { include: included?.state, exclude: excluded?.state },
    };
  }
}

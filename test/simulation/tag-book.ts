/** What was put under each tag, and by whom. */
import { Violation } from './violation.ts';

interface Shown {
  readonly build: string;
  readonly digest: string;
  readonly sequence: number;
}

export class TagBook {
  readonly #shown = new Map<string, Shown>();
  readonly #known = new Map<string, Shown>();
  /** The newest build that published it, by sequence. */
  readonly #newest = new Map<string, number>();
  /** The one digest of each build. */
  readonly #digests = new Map<string, string>();

  put(tag: string, by: Shown): void {
    const digest = this.#digests.get(by.build) ?? by.digest;
    if (digest !== by.digest)
      throw new Violation('one-digest', `${by.build} puts a second list under ${tag}`);
    this.#digests.set(by.build, digest);
    const shown = this.#shown.get(tag);
    if (shown !== undefined && shown.sequence > by.sequence)
      throw new Violation('newest', `${by.build} puts ${tag} back behind ${shown.build}`);
    this.#known.set(by.digest, by);
    this.#shown.set(tag, by);
  }

  putBack(tag: string, digest: string | undefined): void {
    const before = this.#known.get(digest ?? '');
    if (before === undefined) this.#shown.delete(tag);
    else this.#shown.set(tag, before);
  }

  published(tags: readonly string[], { sequence }: { sequence: number }): void {
    for (const tag of tags) this.#newest.set(tag, Math.max(sequence, this.#newest.get(tag) ?? 0));
  }

  /** A build leaves a tag alone only where a newer one has published it. */
  mayLeave(tag: string, { id, sequence }: { id: string; sequence: number }): void {
    if ((this.#newest.get(tag) ?? 0) <= sequence)
      throw new Violation('newest', `${id} leaves ${tag} alone, which no newer build has published`);
  }

  mustShow(tags: readonly string[], { build, sequence }: { build: string; sequence: number }): void {
    for (const tag of tags) {
      const shown = this.#shown.get(tag);
      if (shown === undefined || (shown.build !== build && shown.sequence < sequence))
        throw new Violation('published', `${build} succeeded, and ${tag} shows ${shown?.build ?? 'nothing'}`);
    }
  }

  mustNotShow(build: string): void {
    for (const [tag, shown] of this.#shown) {
      if (shown.build === build)
        throw new Violation('tag-unchanged', `${build} did not succeed, and ${tag} shows it`);
    }
  }
}

/** Finds where here-documents end, in time that grows with the text alone, however many it begins and never ends. */

interface End {
  readonly word: string;
  /** Tabs may stand before it. */
  readonly indented: boolean;
}

export class HereDocumentEnds {
  readonly #lines: readonly string[];
  /** The last place of each line's text, by whether tabs before it count; made when the first is asked for. */
  readonly #last = new Map<boolean, ReadonlyMap<string, number>>();

  constructor(lines: readonly string[]) {
    this.#lines = lines;
  }

  /** The first such line from a place on, which is to be no lower than where an earlier one was found. */
  find({ word, indented }: End, from: number): number | undefined {
    const last = this.#lastOf(indented).get(word);
    if (last === undefined || last < from) return undefined;
    for (let at = from; at < last; at += 1) if (bare(this.#lines[at] ?? '', indented) === word) return at;
    return last;
  }

  #lastOf(indented: boolean): ReadonlyMap<string, number> {
    let last = this.#last.get(indented);
    if (last === undefined) {
      last = new Map(this.#lines.map((line, index) => [bare(line, indented), index]));
      this.#last.set(indented, last);
    }
    return last;
  }
}

function bare(line: string, indented: boolean): string {
  return (indented ? line.replace(/^\t+/, '') : line).replace(/\r$/, '');
}

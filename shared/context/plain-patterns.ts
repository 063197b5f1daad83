/** Patterns without wildcards, found by the names of the one path that each matches: a long list costs an entry one look. */

/** A path that patterns match, or one on the way to it. */
export interface PlainNode {
  /** By name; undefined where no pattern goes on. */
  readonly below: ReadonlyMap<string, PlainNode> | undefined;
  /** Places in the list of the patterns that match this path, ascending; undefined when there are none. */
  readonly places: readonly number[] | undefined;
}

class Node implements PlainNode {
  // Made when needed: a list of a hundred thousand paths has as many ends, with nothing below.
  below: Map<string, Node> | undefined;
  places: number[] | undefined;

  child(name: string): Node {
    this.below ??= new Map();
    const known = this.below.get(name);
    if (known !== undefined) return known;
    const node = new Node();
    this.below.set(name, node);
    return node;
  }
}

/** Gives the root of a tree. `paths` are places and texts of patterns, in the order of the list. */
export function plainTree(paths: Iterable<readonly [place: number, text: string]>): PlainNode {
  const root = new Node();
  for (const [place, text] of paths) {
    let node = root;
    for (const name of text.split('/')) node = node.child(name);
    (node.places ??= []).push(place);
  }
  return root;
}

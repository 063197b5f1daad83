/** Recipes that were used a moment ago, for the chunks that are asked for next. They need not be proven. */
import type { Chunk, Recipe } from './chunks.ts';
import type { Digest } from './tree.ts';

interface Known {
  readonly recipe: Recipe;
  /** By where each begins. */
  readonly chunks: ReadonlyMap<number, Chunk>;
}

const maxRecipes = 32;

export class RecipeCache {
  /** The latest used last. */
  readonly #known = new Map<Digest, Known>();

  get(content: Digest): Recipe | undefined {
    return this.#use(content)?.recipe;
  }

  has(content: Digest, { digest, size, offset }: Chunk & { readonly offset: number }): boolean {
    const chunk = this.#use(content)?.chunks.get(offset);
    return chunk?.digest === digest && chunk.size === size;
  }

  add(content: Digest, recipe: Recipe): void {
    const chunks = new Map<number, Chunk>();
    let offset = 0;
    for (const chunk of recipe) {
      chunks.set(offset, chunk);
      offset += chunk.size;
    }
    this.#known.set(content, { recipe, chunks });
    const [oldest] = this.#known.keys();
    if (this.#known.size > maxRecipes && oldest !== undefined) this.#known.delete(oldest);
  }

  delete(content: Digest): void {
    this.#known.delete(content);
  }

  #use(content: Digest): Known | undefined {
    const known = this.#known.get(content);
    if (known === undefined) return undefined;
    this.#known.delete(content);
    this.#known.set(content, known);
    return known;
  }
}

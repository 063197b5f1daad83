/**
 * Which images of the engine this agent built, and which of them its running work may need. Built images carry no
 * mark of their host: so the agent keeps a list, a file of JSON lines, of which a torn line is dropped.
 */
import * as v from 'valibot';
import type { Digest } from '../shared/context/tree.ts';
import { isDigest, parseReference } from '../shared/reference.ts';
import { LinesFile } from './lines-file.ts';

export interface OwnImage {
  readonly id: Digest;
  /** `host/onap/py-app-amd64` of each reference that it was built for. */
  readonly repositories: ReadonlySet<string>;
  /** When it was built last; milliseconds since 1970. */
  readonly builtAt: number;
}

const lineSchema = v.object({
  id: v.pipe(v.string(), v.check(isDigest)),
  repositories: v.array(v.string()),
  builtAt: v.number(),
});

export class OwnImages {
  readonly #file: LinesFile;
  /** Oldest first. */
  readonly #images: Map<Digest, OwnImage>;
  /** Repositories of running work, and how much of it. */
  readonly #held = new Map<string, number>();

  private constructor(file: LinesFile, images: Map<Digest, OwnImage>) {
    this.#file = file;
    this.#images = images;
  }

  static async open(path: string): Promise<OwnImages> {
    const { file, text } = await LinesFile.open(path);
    return new OwnImages(file, readLines(text));
  }

  get oldestFirst(): readonly OwnImage[] {
    return [...this.#images.values()];
  }

  /** Known at once; resolves when it will be after a restart, too. */
  async add(id: Digest, reference: string, builtAt: number): Promise<void> {
    const repositories = new Set([...(this.#images.get(id)?.repositories ?? []), repositoryOf(reference)]);
    const image = { id, repositories, builtAt };
    this.#images.delete(id);
    this.#images.set(id, image);
    await this.#file.append(lineOf(image));
  }

  /** Whether it was not built again since. */
  isCurrent(image: OwnImage): boolean {
    return this.#images.get(image.id) === image;
  }

  /** The engine does not have them any more; one that was built again meanwhile stays known. */
  async forget(images: readonly OwnImage[]): Promise<void> {
    const gone = images.filter((image) => this.isCurrent(image));
    if (gone.length === 0) return;
    for (const { id } of gone) this.#images.delete(id);
    // Where there is no room for that, they are known again after a restart, and found to be gone again.
    await this.#file.replace(this.oldestFirst.map(lineOf));
  }

  /** Until it is disposed of, images of this reference's repository are needed. */
  hold(reference: string): Disposable {
    const repository = repositoryOf(reference);
    this.#held.set(repository, (this.#held.get(repository) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        const left = (this.#held.get(repository) ?? 0) - 1;
        if (left > 0) this.#held.set(repository, left);
        else this.#held.delete(repository);
      },
    };
  }

  /** `names`: references that the engine has it under. An image that somebody else named, too, is not ours to remove. */
  isSpare({ repositories }: OwnImage, names: readonly string[]): boolean {
    const named = names.map(repositoryOf);
    if (named.some((repository) => !repositories.has(repository))) return false;
    return [...repositories].every((repository) => !this.#held.has(repository));
  }
}

function repositoryOf(reference: string): string {
  const { registry, repository } = parseReference(reference);
  return `${registry}/${repository}`;
}

function lineOf({ id, repositories, builtAt }: OwnImage): string {
  return JSON.stringify({ id, repositories: [...repositories], builtAt });
}

function readLines(text: string): Map<Digest, OwnImage> {
  const images = new Map<Digest, OwnImage>();
  for (const line of text.split('\n')) {
    const image = readLine(line);
    if (image === undefined) continue;
    images.delete(image.id);
    images.set(image.id, image);
  }
  return images;
}

function readLine(line: string): OwnImage | undefined {
  try {
    const { repositories, ...rest } = v.parse(lineSchema, JSON.parse(line));
    return { ...rest, repositories: new Set(repositories) };
  } catch {
    return undefined;
  }
}

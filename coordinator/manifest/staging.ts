/**
 * The part of publishing that need not wait for the last child: the tags are read, and each image is brought into the
 * final repositories as soon as it is verified. What could not be done early is done again when it is needed.
 */
import { setMaxListeners } from 'node:events';
import type { VerifiedImage } from '../farm/events.ts';
import { ChildAbort } from '../../shared/abort.ts';
import type { PublishEvent } from '../../shared/progress.ts';
import type { Registries } from '../registry/registries.ts';
import type { Repository } from '../registry/repository.ts';
import { Bringing } from './bringing.ts';
import { parseImage, type Manifest } from './document.ts';
import { isForeignLayer, isImageManifest } from './media-types.ts';
import { finalTag, readTag, tagName, type FinalTag, type TagState } from './tags.ts';
import { together } from './together.ts';

/** Milliseconds for which a tag counts as read: nothing keeps others from moving it in any case. */
const fresh = 5_000;

export interface StagingOptions {
  readonly registries: Registries;
  readonly signal: AbortSignal;
  readonly onEvent: (event: PublishEvent) => void;
}

export class Staging implements AsyncDisposable {
  readonly tags: readonly FinalTag[];
  /** Each that a tag is in, once. */
  readonly repositories: readonly Repository[];
  readonly #registries: Registries;
  readonly #stop: ChildAbort;
  readonly #bringing: Bringing;
  readonly #read = new Map<string, { readonly at: number; readonly state: Promise<TagState> }>();
  /** Repositories whose lists turned out to name what they lack. */
  readonly #doubted = new Set<string>();

  /** Throws `usage` for what cannot be a tag. */
  constructor(tags: readonly string[], { registries, signal, onEvent }: StagingOptions) {
    this.#registries = registries;
    this.tags = tags.map((tag) => finalTag(tag, registries));
    this.repositories = [
      ...new Map(this.tags.map(({ repository }) => [repository.fullName, repository])).values(),
    ];
    this.#stop = new ChildAbort(signal);
    setMaxListeners(0, this.#stop.signal);
    this.#bringing = new Bringing({ registries, signal: this.#stop.signal, onEvent });
  }

  /** Begins to read the tags that were not read lately. */
  look(): void {
    // Whoever needs them sees the failure, or reads again.
    for (const tag of this.tags) this.current(tag).catch(() => {});
  }

  /** What the tag stands for, as far as is known lately. */
  current(tag: FinalTag): Promise<TagState> {
    const name = tagName(tag);
    const known = this.#read.get(name);
    if (known !== undefined && performance.now() - known.at < fresh) return known.state;
    const read = { at: performance.now(), state: readTag(tag, this.#stop.signal) };
    this.#read.set(name, read);
    read.state.catch(() => {
      if (this.#read.get(name) === read) this.#read.delete(name);
    });
    return read.state;
  }

  /** One of its tags was moved, by whomever. */
  forget(tags: readonly string[]): void {
    for (const tag of tags) this.#read.delete(tag);
  }

  /** Whether every final repository has the manifest: a list that it holds names it. */
  async isListed(digest: string): Promise<boolean> {
    try {
      return (await Promise.all(this.repositories.map((each) => this.#lists(each, digest)))).every(Boolean);
    } catch {
      return false;
    }
  }

  /** Into all of the repositories, or those given. */
  async bring(image: VerifiedImage, to: readonly Repository[] = this.repositories): Promise<void> {
    const digests = [image, ...(image.attestations ?? [])].map(({ descriptor }) => descriptor.digest);
    await together(
      to,
      async (repository) => {
        const listed = await Promise.all(digests.map((digest) => this.#lists(repository, digest)));
        if (listed.every(Boolean)) return;
        this.#bringing.assume(repository, await this.#listedBlobs(repository));
        await this.#bringing.image(image, repository);
      },
      this.#stop.signal,
    );
  }

  /**
   * Begins to bring what is about to be verified, where its manifest was seen before and the repositories have its blobs: a
   * round trip less, and untagged content is invisible.
   */
  anticipate(from: Repository, digest: string): void {
    const manifest = this.#registries.keptManifest(digest);
    if (manifest === undefined || !isImageManifest(manifest.mediaType)) return;
    // Whoever brings it sees the failure, or does it again.
    for (const to of this.repositories) this.#bringKnown(manifest, from, to).catch(() => {});
  }

  async #bringKnown(manifest: Manifest, from: Repository, to: Repository): Promise<void> {
    const { mediaType, digest, bytes } = manifest;
    if (await this.#lists(to, digest)) return;
    this.#bringing.assume(to, await this.#listedBlobs(to));
    const { config, layers } = parseImage(manifest, from.reference(digest));
    const blobs = [config, ...layers.filter((layer) => !isForeignLayer(layer.mediaType))];
    if (!blobs.every((blob) => this.#bringing.holds(to, blob.digest))) return;
    const descriptor = { mediaType, digest, size: bytes.length };
    await this.#bringing.image({ repository: from.fullName, descriptor, blobs }, to);
  }

  /** What its lists name may be missing there. */
  doubt(repository: Repository): void {
    this.#doubted.add(repository.fullName);
    this.#bringing.forget(repository);
  }

  /** Ends what is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#stop[Symbol.dispose]();
    await this.#bringing.settled();
  }

  async #lists(repository: Repository, digest: string): Promise<boolean> {
    return (await this.#states(repository)).some(({ children }) => children.has(digest));
  }

  /** What the images of its lists consist of, as far as their manifests are at hand: base layers, mostly. */
  async #listedBlobs(repository: Repository): Promise<readonly string[]> {
    const children = (await this.#states(repository)).flatMap((state) => [...state.children]);
    return children.flatMap((digest) => {
      const manifest = this.#registries.keptManifest(digest);
      if (manifest === undefined || !isImageManifest(manifest.mediaType)) return [];
      const { config, layers } = parseImage(manifest, repository.reference(digest));
      return [config, ...layers].map((blob) => blob.digest);
    });
  }

  /** Of its tags, as far as they are believed. */
  async #states(repository: Repository): Promise<readonly TagState[]> {
    if (this.#doubted.has(repository.fullName)) return [];
    const tags = this.tags.filter((tag) => tag.repository.fullName === repository.fullName);
    return Promise.all(tags.map((tag) => this.current(tag)));
  }
}

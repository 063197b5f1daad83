/** Images on their way into the repositories they are published from. By digest alone, they are invisible there. */
import type { VerifiedImage } from '../farm/events.ts';
import type { Descriptor, PublishEvent } from '../../shared/progress.ts';
import { parseReference } from '../../shared/reference.ts';
import { bringBlob } from '../registry/blobs.ts';
import { putChild } from '../registry/children.ts';
import type { Registries } from '../registry/registries.ts';
import type { Repository } from '../registry/repository.ts';
import { together } from './together.ts';

export interface BringingOptions {
  readonly registries: Registries;
  readonly signal: AbortSignal;
  readonly onEvent: (event: PublishEvent) => void;
}

export type BroughtImage = Pick<VerifiedImage, 'repository' | 'descriptor' | 'blobs' | 'attestations'>;

export class Bringing {
  readonly #options: BringingOptions;
  /** What is there, or under way, by repository and digest. */
  readonly #done = new Map<string, Promise<void>>();

  constructor(options: BringingOptions) {
    this.#options = options;
  }

  /** Each once, however often it is asked for; what failed is tried again. Nothing to do where it lies already. */
  async image(image: BroughtImage, to: Repository): Promise<void> {
    if (image.repository === to.fullName) return;
    const from = this.#options.registries.repository(parseReference(image.repository));
    const manifests = [{ descriptor: image.descriptor, blobs: image.blobs }, ...(image.attestations ?? [])];
    // Side by side: nothing but the list names them, and that comes later.
    await together(
      manifests,
      (each) => this.#once(`${to.fullName} ${each.descriptor.digest}`, () => this.#manifest(each, from, to)),
      this.#options.signal,
    );
  }

  /** These are there already. Should one be missing after all, its manifest is refused, and it is copied then. */
  assume(repository: Repository, digests: readonly string[]): void {
    const there = Promise.resolve();
    for (const digest of digests) {
      const key = `${repository.fullName} ${digest}`;
      if (!this.#done.has(key)) this.#done.set(key, there);
    }
  }

  /** Forgets that anything is in this repository. */
  forget(repository: Repository): void {
    for (const key of this.#done.keys()) {
      if (key.startsWith(`${repository.fullName} `)) this.#done.delete(key);
    }
  }

  /** Resolves when nothing is under way any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#done.values());
  }

  /** All blobs, then the manifest, which registries refuse while a blob is missing. */
  async #manifest(
    { descriptor, blobs }: { readonly descriptor: Descriptor; readonly blobs: readonly Descriptor[] },
    from: Repository,
    to: Repository,
  ): Promise<void> {
    const { registries, signal, onEvent } = this.#options;
    const [manifest] = await Promise.all([
      registries.manifest(from, descriptor.digest, signal),
      together(
        blobs,
        (blob) => this.#once(`${to.fullName} ${blob.digest}`, () => this.#blob(blob, from, to)),
        signal,
      ),
    ]);
    const copied = await putChild({ manifest, blobs }, { from, to, copies: registries.copies }, signal);
    const reference = to.fullName;
    for (const { digest, size } of copied) onEvent(event({ action: 'copy', reference, digest, bytes: size }));
    onEvent(event({ action: 'manifest', reference, digest: manifest.digest }));
  }

  async #blob(blob: Descriptor, from: Repository, to: Repository): Promise<void> {
    const { registries, signal, onEvent } = this.#options;
    const outcome = await bringBlob({ from, to, blob, copies: registries.copies }, signal);
    if (outcome === 'present') return;
    const action = outcome === 'mounted' ? 'mount' : 'copy';
    onEvent(event({ action, reference: to.fullName, digest: blob.digest, bytes: blob.size }));
  }

  #once(key: string, work: () => Promise<void>): Promise<void> {
    const known = this.#done.get(key);
    if (known !== undefined) return known;
    const done = work();
    this.#done.set(key, done);
    done.catch(() => {
      if (this.#done.get(key) === done) this.#done.delete(key);
    });
    return done;
  }
}

function event(change: Omit<PublishEvent, 'type' | 'time'>): PublishEvent {
  return { type: 'publish', time: Date.now(), ...change };
}

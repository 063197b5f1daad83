/** Images on their way into the repositories they are published from. By digest alone, they are invisible there. */
import type { VerifiedImage } from '../farm/events.ts';
import type { Descriptor, PublishEvent } from '../../shared/progress.ts';
import { parseReference } from '../../shared/reference.ts';
import { bringBlob } from '../registry/blobs.ts';
import { lacksContent, putChild } from '../registry/children.ts';
import { putManifest } from '../registry/manifests.ts';
import type { Registries } from '../registry/registries.ts';
import type { Repository } from '../registry/repository.ts';
import type { Manifest } from './document.ts';
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
  /** By repository and digest. */
  readonly #assumed = new Set<string>();

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

  /** These are there already. Should one be missing after all, its manifest is refused, and it is brought then. */
  assume(repository: Repository, digests: readonly string[]): void {
    for (const digest of digests) this.#assumed.add(`${repository.fullName} ${digest}`);
  }

  /** Whether a blob is there, as far as is known without asking. */
  holds(repository: Repository, digest: string): boolean {
    const { fullName } = repository;
    return (
      this.#assumed.has(`${fullName} ${digest}`) || this.#options.registries.holdings.has(fullName, digest)
    );
  }

  /** Forgets that anything is in this repository. */
  forget(repository: Repository): void {
    this.#forgetKnown(repository);
    dropBelow(repository, this.#done);
  }

  /** What was brought, or is under way, stays. */
  #forgetKnown(repository: Repository): void {
    dropBelow(repository, this.#assumed);
    this.#options.registries.holdings.forget(repository.fullName);
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
    const there = blobs.filter(({ digest }) => this.holds(to, digest));
    const [manifest] = await Promise.all([
      registries.manifest(from, descriptor.digest, signal),
      this.#blobs(
        blobs.filter((blob) => !there.includes(blob)),
        from,
        to,
      ),
    ]);
    const reference = to.fullName;
    if (there.length === 0 || !(await this.#putUnlessLacking(manifest, to))) {
      await this.#blobs(there, from, to);
      const copied = await putChild({ manifest, blobs }, { from, to }, signal);
      for (const { digest, size } of copied)
        onEvent(event({ action: 'copy', reference, digest, bytes: size }));
    }
    for (const { digest } of blobs) registries.holdings.note(reference, digest);
    onEvent(event({ action: 'manifest', reference, digest: manifest.digest }));
  }

  /** False where it names something that is missing, whatever was known of it. */
  async #putUnlessLacking(manifest: Manifest, to: Repository): Promise<boolean> {
    try {
      await putManifest(to, manifest, { reference: manifest.digest, signal: this.#options.signal });
      return true;
    } catch (error) {
      if (!lacksContent(error)) throw error;
      this.#forgetKnown(to);
      return false;
    }
  }

  async #blobs(blobs: readonly Descriptor[], from: Repository, to: Repository): Promise<void> {
    await together(
      blobs,
      (blob) => this.#once(`${to.fullName} ${blob.digest}`, () => this.#blob(blob, from, to)),
      this.#options.signal,
    );
  }

  async #blob(blob: Descriptor, from: Repository, to: Repository): Promise<void> {
    const { signal, onEvent } = this.#options;
    const outcome = await bringBlob({ from, to, blob }, signal);
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

function dropBelow(
  { fullName }: Repository,
  known: { keys(): Iterable<string>; delete(key: string): boolean },
): void {
  for (const key of known.keys()) if (key.startsWith(`${fullName} `)) known.delete(key);
}

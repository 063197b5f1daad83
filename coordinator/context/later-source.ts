/**
 * Contents for a build that goes on from an older one: nothing is read until the coordinator turns out to lack
 * something, and then only what is missing has to be as it was.
 */
import { Deferred } from '../../shared/context/deferred.ts';
import type { Content, ContentSource } from '../../shared/context/sender.ts';
import { contentOf, type WantedItem } from '../../shared/context/transfer-messages.ts';
import type { Digest } from '../../shared/context/tree.ts';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import { SnapshotSource, type Snapshot } from './snapshot.ts';

export interface LaterSourceOptions {
  /** The build whose trees are wanted again. */
  readonly of: string;
  /** Reads what there is now; called at most once. */
  readonly scan: () => Promise<readonly Snapshot[]>;
  /** What a file of the new build is called, as its coordinator knows. */
  readonly pathOf: (build: string, digest: Digest) => Promise<string | undefined>;
}

export class LaterSource implements ContentSource {
  readonly #options: LaterSourceOptions;
  readonly #build = new Deferred<string>();
  #scanned: Promise<SnapshotSource> | undefined;

  constructor(options: LaterSourceOptions) {
    this.#options = options;
  }

  /** Only a build that is submitted has files with names. */
  submitted(build: string): void {
    this.#build.resolve(build);
  }

  /** Throws `context-changed` naming the file that differs, and `context-invalid` where no context can be read. */
  async open(item: WantedItem, signal: AbortSignal): Promise<Content> {
    this.#scanned ??= this.#scan();
    const source = await this.#scanned;
    try {
      return await source.open(item, signal);
    } catch (error) {
      if (!(error instanceof ArchfarmError) || error.code !== 'blobs-lost') throw error;
      throw await this.#changed(item, error);
    }
  }

  async #scan(): Promise<SnapshotSource> {
    try {
      return new SnapshotSource(await this.#options.scan());
    } catch (cause) {
      const { of } = this.#options;
      throw new ArchfarmError(
        'context-invalid',
        `the coordinator lacks contents of build ${of}, and its context cannot be read here: ${messageOf(cause)}`,
        { hint: 'say with --context PATH where it is', cause },
      );
    }
  }

  async #changed(item: WantedItem, cause: ArchfarmError): Promise<ArchfarmError> {
    const { of, pathOf } = this.#options;
    if (item.kind === 'directory') {
      return new ArchfarmError(
        'context-changed',
        `the coordinator lacks directories of build ${of}, and its context differs now`,
        { hint: 'archfarm build builds what is there now; --context names another directory', cause },
      );
    }
    const content = contentOf(item);
    const path = await pathOf(await this.#build.promise, content).catch(() => undefined);
    return new ArchfarmError(
      'context-changed',
      `${path === undefined ? `a file (${content})` : JSON.stringify(path)} differs now from what build ${of} was made of, which the coordinator keeps no more`,
      { hint: 'restore it, or build what is there now with archfarm build', cause },
    );
  }
}

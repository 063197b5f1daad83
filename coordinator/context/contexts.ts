/**
 * Contexts of the builds that go on: each comes from its client's link on demand, is kept in the store, and is
 * passed on to the agents that build it, while it is still arriving where need be.
 */
import type { WebSocket } from 'ws';
import { decodeDirectory, digestOfRecord } from '../../shared/context/encoding.ts';
import { fetchTree, type FetchedTree } from '../../shared/context/fetch-tree.ts';
import { defaultLimits } from '../../shared/context/limits.ts';
import { select } from '../../shared/context/select.ts';
import { sendContents, type ContentSource } from '../../shared/context/sender.ts';
import type { BlobStore } from '../../shared/context/store.ts';
import type { Digest } from '../../shared/context/tree.ts';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { ClientLink } from './client-link.ts';

export interface ContextsOptions {
  readonly store: BlobStore;
  readonly log: Logger;
  /** Milliseconds for which a client that lost its connection may come back. */
  readonly returnWithin: number;
}

/** The trees of one build, all their directories being in the store. */
export interface PreparedContext {
  readonly roots: readonly Digest[];
  readonly trees: readonly FetchedTree[];
  readonly link: ClientLink;
}

interface LiveContext extends Omit<PreparedContext, 'link'> {
  link: ClientLink;
  readonly pin: Disposable;
}

export class Contexts {
  readonly #options: ContextsOptions;
  readonly #builds = new Map<string, LiveContext>();
  readonly #links = new Map<string, ClientLink>();
  readonly #stop = new AbortController();

  constructor(options: ContextsOptions) {
    this.#options = options;
  }

  /**
   * A client offers contents over this socket; the id names the link that its builds were submitted with. Once
   * this coordinator has forgotten that, only the client knows: it names the build as well.
   */
  link(socket: WebSocket, { id, build }: { id: string; build: string | undefined }): void {
    const link = this.#linkOf(id);
    const live = build === undefined ? undefined : this.#builds.get(build);
    if (live !== undefined) live.link = link;
    link.receive(socket, this.#stop.signal).catch((error: unknown) => {
      this.#options.log.warn({ link: id, reason: messageOf(error) }, 'a client link ended');
    });
  }

  /** Takes records of directories that came without being asked for. Throws `context-invalid`. */
  async add(records: readonly Buffer[]): Promise<void> {
    for (const record of records) {
      const digest = digestOfRecord(record);
      decodeDirectory(digest, record);
      await this.#options.store.put({ kind: 'directory', digest }, record);
    }
  }

  /** Brings the directories of the trees into the store. Throws `context-limit`, `client-gone` or `blobs-lost`. */
  async prepare(
    linkId: string | undefined,
    roots: readonly Digest[],
    signal: AbortSignal,
  ): Promise<PreparedContext> {
    const link = linkId === undefined ? await this.#withoutClient() : this.#linkOf(linkId);
    const options = { limits: defaultLimits, signal };
    const trees = await Promise.all(roots.map((root) => fetchTree(root, link.receiver, options)));
    return { roots, trees, link };
  }

  /** From now on agents may ask for what the build's trees hold. */
  adopt(build: string, prepared: PreparedContext): void {
    const digests = new Set(prepared.trees.flatMap((tree) => [...tree.digests]));
    this.#builds.set(build, { ...prepared, pin: this.#options.store.pin(digests) });
  }

  /** After a restart the directories are in the store; the client dials again for what else may be missing. */
  async restore(build: string, roots: readonly Digest[]): Promise<void> {
    try {
      this.adopt(build, await this.prepare(undefined, roots, this.#stop.signal));
    } catch (error) {
      // Attempts that run may have all they need; those that do not will fail with this reason.
      this.#options.log.warn({ build, reason: messageOf(error) }, 'the context of a build is not complete');
    }
  }

  release(build: string): void {
    this.#builds.get(build)?.pin[Symbol.dispose]();
    this.#builds.delete(build);
  }

  /** Bytes that the client sent for this build: contents and directories. */
  receivedBytes(build: string): number {
    return this.#builds.get(build)?.link.receiver.receivedBytes ?? 0;
  }

  /** Resolves once everything that the build could ask for is in the store. */
  async complete(build: string, signal: AbortSignal): Promise<void> {
    const live = this.#builds.get(build);
    if (live === undefined) return;
    const { receiver } = live.link;
    const everything = { followPaths: [], includePatterns: [], excludePatterns: [] };
    const coming: Promise<void>[] = [];
    for (const root of live.roots) {
      for await (const { entry } of select(root, everything, receiver, signal)) {
        if (entry.type !== 'file') continue;
        const content = receiver.prefetch(entry.digest, entry.size, signal);
        // It may fail while others are still looked for; all are waited for below.
        content.catch(() => {});
        coming.push(content);
      }
    }
    await Promise.all(coming);
  }

  /** Serves an agent's requests until it hangs up; `builds` are those that it may see at that moment. */
  serveAgent(socket: WebSocket, { agent, builds }: { agent: string; builds: () => readonly string[] }): void {
    const source: ContentSource = {
      open: async (item, signal) => {
        const live = builds()
          .map((build) => this.#builds.get(build))
          .find((candidate) => candidate?.trees.some((tree) => tree.digests.has(item.digest)));
        if (live !== undefined) return live.link.receiver.open(item, signal);
        throw new ArchfarmError('blobs-lost', `${item.digest} is in no context that agent ${agent} builds`);
      },
    };
    sendContents(socket, source, this.#stop.signal).catch((error: unknown) => {
      this.#options.log.warn({ agent, reason: messageOf(error) }, 'a context connection ended');
    });
  }

  async close(): Promise<void> {
    this.#stop.abort(new ArchfarmError('coordinator-unreachable', 'the coordinator stops'));
    for (const build of this.#builds.keys()) this.release(build);
    await Promise.all([...this.#links.values()].map((link) => link.end()));
  }

  #linkOf(id: string): ClientLink {
    const known = this.#links.get(id);
    if (known !== undefined) return known;
    const { store, returnWithin } = this.#options;
    const link = new ClientLink({ store, returnWithin, onEnd: () => void this.#links.delete(id) });
    this.#links.set(id, link);
    return link;
  }

  /** For a build whose client is not there: what the store lacks is missing. */
  async #withoutClient(): Promise<ClientLink> {
    const { store, returnWithin } = this.#options;
    const link = new ClientLink({ store, returnWithin, onEnd: () => {} });
    await link.end();
    return link;
  }
}

/**
 * Contexts of the builds that go on: each comes from its client's link on demand, is kept in the store, and is
 * passed on to the agents that build it, while it is still arriving where need be.
 */
import type { WebSocket } from 'ws';
import { CheckedTrees } from '../../shared/context/checked-trees.ts';
import { decodeDirectory, digestOf } from '../../shared/context/encoding.ts';
import { fetchTree, type FetchedTree } from '../../shared/context/fetch-tree.ts';
import type { ContextLimits } from '../../shared/context/limits.ts';
import { everything, type Selection } from '../../shared/context/select.ts';
import { sendContents, type ContentSource } from '../../shared/context/sender.ts';
import type { BlobStore } from '../../shared/context/store.ts';
import type { StoreUsage } from '../../shared/context/store-usage.ts';
import { areTimes } from '../../shared/context/times.ts';
import { contentOf } from '../../shared/context/transfer-messages.ts';
import type { ContextSource, Digest, TreeId } from '../../shared/context/tree.ts';
import type { AttemptId } from '../../shared/attempt.ts';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { MissingContents } from '../../shared/progress.ts';
import { buildFields } from '../log-fields.ts';
import type { ClientLink } from './client-link.ts';
import { ClientLinks } from './client-links.ts';
import { ContextFetch } from './context-fetch.ts';
import { storedTrees } from './stored-trees.ts';
import { wantedFiles } from './wanted-files.ts';

export interface ContextsOptions {
  readonly store: BlobStore;
  readonly limits: ContextLimits;
  readonly log: Logger;
  /** Milliseconds for which a client that lost its connection may come back. */
  readonly returnWithin: number;
  /** Milliseconds that engines get to open their trees before these are fetched as a whole. */
  readonly patience: number;
  /** Platforms of a build's tasks that have not ended; none of a build that is over. */
  readonly openTasks: (build: string) => readonly string[];
}

/** What a build is submitted with. */
export interface OfferedContext {
  readonly trees: readonly TreeId[];
  /** The id of the link by which the client gives its contents; without one only the store can. */
  readonly link?: string | undefined;
  /** How errors call the client. */
  readonly client: string;
}

export interface RestoredContext extends Omit<OfferedContext, 'link'> {
  /** Whether the build goes on: it may end before its context is found, and is released no second time. */
  readonly isOpen: () => boolean;
}

/** The trees of one build, all their directories and times being in the store. */
export interface PreparedContext {
  readonly roots: readonly Digest[];
  readonly trees: readonly FetchedTree[];
  readonly link: ClientLink;
  /** By which the client comes; unknown after a restart, until it does. */
  readonly linkId?: string | undefined;
}

interface LiveContext extends Omit<PreparedContext, 'link' | 'linkId'> {
  link: ClientLink;
  linkId?: string | undefined;
  readonly fetch: ContextFetch;
  readonly pins: readonly Disposable[];
}

export class Contexts {
  /** How large a context may be. */
  readonly limits: ContextLimits;
  readonly #options: ContextsOptions;
  readonly #stored: ContextSource;
  readonly #links: ClientLinks;
  readonly #checked: CheckedTrees;
  readonly #builds = new Map<string, LiveContext>();
  readonly #stop = new AbortController();

  constructor(options: ContextsOptions) {
    this.#options = options;
    this.limits = options.limits;
    this.#stored = storedTrees(options.store);
    this.#links = new ClientLinks(options);
    this.#checked = new CheckedTrees(options.store);
  }

  usage(): StoreUsage {
    return this.#options.store.usage();
  }

  /**
   * A client offers contents over this socket; the id names the link that its builds were submitted with. Once
   * this coordinator has forgotten that, only the client knows: it names the build as well.
   */
  link(
    socket: WebSocket,
    {
      id,
      build,
      givesPieces,
    }: { readonly id: string; readonly build: string | undefined; readonly givesPieces: boolean },
  ): void {
    const served = [...this.#builds].filter(([name, { linkId }]) => name === build || linkId === id);
    const link = this.#links.of(id, served[0]?.[1].link);
    for (const [, live] of served) relink(live, { link, id });
    link.receive(socket, { givesPieces, signal: this.#stop.signal }).catch((error: unknown) => {
      const about = buildFields(served.map(([name]) => name));
      this.#options.log.warn({ ...about, link: id, reason: messageOf(error) }, 'a client link ended');
    });
  }

  /** The client of a build that goes on has said by which link it comes. */
  comesBy(build: string, id: string): void {
    const live = this.#builds.get(build);
    if (live !== undefined) relink(live, { link: this.#links.of(id, live.link), id });
  }

  /** Keeps what comes for a build that is being submitted, until `adopt` has pinned it. */
  keepRecent(): Promise<Disposable> {
    return this.#options.store.keepRecent();
  }

  /** Takes directories and times that came without being asked for. Throws `context-invalid`. */
  async add(records: readonly Buffer[]): Promise<void> {
    for (const record of records) {
      const digest = digestOf(record);
      const kind = areTimes(record) ? 'blob' : 'directory';
      if (kind === 'directory') decodeDirectory(digest, record);
      await this.#options.store.put({ kind, digest }, record);
    }
  }

  /** Brings the directories and times of the trees into the store. Throws `context-limit`, `client-gone` or `blobs-lost`. */
  async prepare(
    { trees: ids, link: id, client }: OfferedContext,
    signal: AbortSignal,
  ): Promise<PreparedContext> {
    const link = id === undefined ? this.#links.expect() : this.#links.of(id);
    link.client = client;
    if (id === undefined) await link.end();
    // Where no client could bring again what is damaged, all of it is read now.
    const check = id === undefined ? fetchTree : this.#checked.fetch.bind(this.#checked);
    const trees = await this.#each(ids, (tree, limits) => check(tree, link.receiver, { limits, signal }));
    return { roots: ids.map(({ root }) => root), link, linkId: id, trees };
  }

  /** From now on agents may ask for what the build's trees hold. */
  adopt(build: string, prepared: PreparedContext): void {
    const { store, patience, openTasks, log } = this.#options;
    const live: LiveContext = {
      ...prepared,
      pins: prepared.trees.map((tree) => store.pin(tree.digests)),
      fetch: new ContextFetch({
        roots: prepared.roots,
        openTasks: () => openTasks(build),
        receiver: () => live.link.receiver,
        store,
        patience,
        onTrouble: (error) =>
          log.warn({ build, reason: messageOf(error) }, 'a context cannot be fetched as a whole'),
      }),
    };
    this.#builds.set(build, live);
  }

  /** After a restart directories and times are in the store; the client dials again for what else may be missing. */
  async restore(build: string, { trees: ids, client, isOpen }: RestoredContext): Promise<void> {
    try {
      const { signal } = this.#stop;
      const trees = await this.#each(ids, (tree, limits) =>
        fetchTree(tree, this.#stored, { limits, signal }),
      );
      if (!isOpen()) return;
      const link = this.#links.expect();
      link.client = client;
      this.adopt(build, { roots: ids.map(({ root }) => root), link, trees });
    } catch (error) {
      // Attempts that run may have all they need; those that do not will fail with this reason.
      this.#options.log.warn({ build, reason: messageOf(error) }, 'the context of a build is not complete');
    }
  }

  release(build: string): void {
    const live = this.#builds.get(build);
    this.#builds.delete(build);
    live?.fetch[Symbol.dispose]();
    for (const pin of live?.pins ?? []) pin[Symbol.dispose]();
  }

  /** Bytes that the client sent for this build: contents and directories. */
  receivedBytes(build: string): number {
    return this.#builds.get(build)?.link.receiver.receivedBytes ?? 0;
  }

  /** An attempt's engine has opened one of its build's trees, and asks for no more of it than this. */
  selected({ build, platform, number }: AttemptId, tree: Digest, selection: Selection): void {
    this.#builds.get(build)?.fetch.selected({ platform, number }, tree, selection);
  }

  /** To be called when a task of the build may have ended: it wants nothing more. */
  changed(build: string): void {
    this.#builds.get(build)?.fetch.check();
  }

  /** Resolves once the build needs its client no more. Throws what is in the way: `client-gone`, `context-changed`. */
  async complete(build: string, signal: AbortSignal): Promise<void> {
    const live = this.#builds.get(build);
    if (live !== undefined) return live.fetch.complete(signal);
    if (this.#options.openTasks(build).length === 0) return;
    throw new ArchfarmError('blobs-lost', `directories of the context of build ${build} are lost`, {
      hint: 'start the build again',
    });
  }

  /** What the coordinator lacks of what the build's tasks want; undefined for a build that is over. */
  async missing(build: string, signal: AbortSignal): Promise<MissingContents | undefined> {
    return this.#builds.get(build)?.fetch.missing(AbortSignal.any([signal, this.#stop.signal]));
  }

  /** What a file of the build's trees is called; undefined for a build that is over, and for what is no file. */
  async pathOf(build: string, digest: Digest, signal: AbortSignal): Promise<string | undefined> {
    for (const root of this.#builds.get(build)?.roots ?? []) {
      const files = wantedFiles({ root, selection: everything }, this.#stored, signal);
      for await (const file of files) if (file.digest === digest) return file.path;
    }
    return undefined;
  }

  /** Serves an agent's requests until it hangs up; `builds` are those that it may see at that moment. */
  serveAgent(socket: WebSocket, { agent, builds }: { agent: string; builds: () => readonly string[] }): void {
    const source: ContentSource = {
      open: async (item, signal) => {
        const content = contentOf(item);
        const owners = builds()
          .map((build) => this.#builds.get(build))
          .filter((live) => live?.trees.some((tree) => tree.digests.has(content)) === true);
        const owner = owners.find((live) => live?.link.hasEnded === false) ?? owners[0];
        if (owner !== undefined) return owner.link.receiver.open(item, signal);
        throw new ArchfarmError('blobs-lost', `${item.digest} is in no context that agent ${agent} builds`);
      },
    };
    sendContents(socket, source, this.#stop.signal).catch((error: unknown) => {
      const about = { ...buildFields(builds()), agent, reason: messageOf(error) };
      this.#options.log.warn(about, 'a context connection ended');
    });
  }

  async close(): Promise<void> {
    this.#stop.abort(new ArchfarmError('coordinator-unreachable', 'the coordinator stops'));
    for (const build of this.#builds.keys()) this.release(build);
    await this.#links.close();
  }

  #each(
    trees: readonly TreeId[],
    check: (tree: TreeId, limits: ContextLimits) => Promise<FetchedTree>,
  ): Promise<FetchedTree[]> {
    const limits = { ...this.limits, command: 'serve' } as const;
    return Promise.all(trees.map((tree) => check(tree, limits)));
  }
}

/** The client came by this link, having perhaps been given up before. */
function relink(live: LiveContext, { link, id }: { readonly link: ClientLink; readonly id: string }): void {
  live.linkId = id;
  if (live.link === link) return;
  link.client = live.link.client;
  live.link = link;
  live.fetch.relinked();
}

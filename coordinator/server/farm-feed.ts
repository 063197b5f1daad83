/**
 * The farm as whoever watches it sees it: all of it first, then what changes, as lines of JSON. It is looked at
 * once in a while for all who follow, and not at all while nobody does.
 */
import { EventEmitter, once } from 'node:events';
import type { BuildResult } from '../../shared/progress.ts';
import type { AgentView } from '../farm/agent-state.ts';
import type { BuildSummary } from '../farm/summary.ts';

export interface FarmView {
  readonly agents: readonly AgentView[];
  /** That go on. */
  readonly builds: readonly BuildSummary[];
}

export type FeedLine =
  | (FarmView & {
      readonly type: 'farm';
      /** Milliseconds since 1970, by the clock that all times here are told by. */
      readonly at: number;
    })
  | (FarmView & {
      readonly type: 'change';
      /** Names of agents that are known no more. */
      readonly gone: readonly string[];
      readonly ended: readonly BuildResult[];
    });

export interface FeedOptions {
  readonly view: () => FarmView;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds between two looks. */
  readonly interval?: number;
}

interface Follower {
  readonly lines: Buffer[];
  /** Bytes of them. */
  waiting: number;
}

/** Bytes that may wait for one follower, which is let go beyond it: when it comes again it gets all anew. */
const maxWaiting = 4 * 1024 * 1024;

export class FarmFeed {
  readonly #options: FeedOptions;
  readonly #followers = new Set<Follower>();
  readonly #news = new EventEmitter().setMaxListeners(0);
  /** What followers know, by name and id, as text that differs where there is news. */
  readonly #agents = new Map<string, string>();
  readonly #builds = new Map<string, string>();
  #ended: BuildResult[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  /** A build has come to its end. */
  ended(result: BuildResult): void {
    if (this.#followers.size > 0) this.#ended.push(result);
  }

  /** Ends by itself where the follower takes too little; throws AbortError. */
  async *follow(signal: AbortSignal): AsyncGenerator<Buffer> {
    // Whoever is here already has what this look brings from it.
    const view = this.#look();
    const follower: Follower = { lines: [], waiting: 0 };
    this.#followers.add(follower);
    this.#timer ??= setInterval(() => this.#look(), this.#options.interval ?? 1000);
    try {
      yield toLine({ type: 'farm', at: this.#options.now(), ...view });
      while (follower.waiting <= maxWaiting) {
        const line = follower.lines.shift();
        if (line === undefined) await once(this.#news, 'line', { signal });
        else {
          follower.waiting -= line.length;
          yield line;
        }
      }
    } finally {
      this.#leave(follower);
    }
  }

  #leave(follower: Follower): void {
    this.#followers.delete(follower);
    if (this.#followers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#ended = [];
  }

  /** What there is, of which followers know by now. */
  #look(): FarmView {
    const view = this.#options.view();
    const { agents, builds } = view;
    const change = {
      type: 'change',
      agents: news(this.#agents, agents, { key: ({ name }) => name, text: agentText }),
      builds: news(this.#builds, builds, { key: ({ build }) => build, text: JSON.stringify }),
      gone: goneFrom(this.#agents, new Set(agents.map(({ name }) => name))),
      ended: this.#ended,
    } as const;
    goneFrom(this.#builds, new Set(builds.map(({ build }) => build)));
    this.#ended = [];
    const isNews = [change.agents, change.builds, change.gone, change.ended].some(({ length }) => length > 0);
    if (!isNews || this.#followers.size === 0) return view;
    const line = toLine(change);
    for (const follower of this.#followers) {
      follower.lines.push(line);
      follower.waiting += line.length;
    }
    this.#news.emit('line');
    return view;
  }
}

function toLine(line: FeedLine): Buffer {
  return Buffer.from(`${JSON.stringify(line)}\n`);
}

/** That seconds pass in its reason is no news of an agent, nor is what its process takes. */
function agentText(agent: AgentView): string {
  return JSON.stringify({ ...agent, usage: undefined, reason: agent.reason?.replace(/\d+ s\b/, '') });
}

/** Those that are new or other than they were; `known` has them afterwards. */
function news<Item>(
  known: Map<string, string>,
  items: readonly Item[],
  { key, text }: { readonly key: (item: Item) => string; readonly text: (item: Item) => string },
): Item[] {
  return items.filter((item) => {
    const [name, said] = [key(item), text(item)];
    if (known.get(name) === said) return false;
    known.set(name, said);
    return true;
  });
}

/** Those that are there no more, and are known no more afterwards. */
function goneFrom(known: Map<string, string>, there: ReadonlySet<string>): string[] {
  const gone = [...known.keys()].filter((name) => !there.has(name));
  for (const name of gone) known.delete(name);
  return gone;
}

/** Where builds live beyond the process: the events of those that go on, the results of those that ended. */
import type { BuildResult, BuildStatus } from '../../shared/progress.ts';
import type { DurableEvent, Remains } from '../farm/events.ts';
import type { Drain } from '../farm/standing.ts';
import type { RecordStore } from '../trust/identities.ts';
import type { AuditTable } from './audit-table.ts';
import type { UserTable } from './user-table.ts';

/** What a coordinator starts from. */
export interface Saved {
  /** Of builds that have not ended, in the order they were stored. */
  readonly events: readonly DurableEvent[];
  /** The highest sequence ever given to a build; 0 before the first. */
  readonly sequence: number;
  /** The highest sequence that published each tag, by its key, where an unfinished build is older than that. */
  readonly published: ReadonlyMap<string, number>;
  /** Agents that people have told to take no new work, by name. */
  readonly drained: ReadonlyMap<string, Drain>;
}

export interface ListOptions {
  readonly limit: number;
  /** Only builds whose id sorts before this one: the last id of the page before. */
  readonly before?: string | undefined;
  readonly status?: BuildStatus | undefined;
}

export interface Expiry {
  /** How many of the newest builds stay, those that go on included; at least 1. */
  readonly keep: number;
  /** Ids that sort before this one go however few there are. */
  readonly before: string;
  readonly limit: number;
}

/** What is archived of a build. */
export interface Ended {
  readonly result: BuildResult;
  readonly remains: Remains;
}

export interface Store extends RecordStore, AsyncDisposable {
  readonly audit: AuditTable;
  readonly users: UserTable;
  load(): Promise<Saved>;
  /**
   * All of it or nothing; on disk when it resolves. Archives the builds that have ended and drops their events, which is
   * harmless when repeated. Events of builds that were archived, or never submitted, are not kept.
   */
  append(events: readonly DurableEvent[], ended?: readonly Ended[]): Promise<void>;
  /** Keeps an order to an agent until `undrain`. On disk when it resolves, as is the latter. */
  drain(agent: string, drain: Drain): Promise<void>;
  undrain(agent: string): Promise<void>;
  /** Of a build that has ended; undefined too for those that were archived without. */
  remains(id: string): Promise<Remains | undefined>;
  /** The build of the highest sequence that published this tag. */
  publisher(tag: string): Promise<string | undefined>;
  /** Results of builds that have ended, newest first. */
  builds(options: ListOptions): Promise<BuildResult[]>;
  build(id: string): Promise<BuildResult | undefined>;
  /** At most two ids of builds, ended or not, that begin with `prefix`: enough to see whether it names one. */
  find(prefix: string): Promise<string[]>;
  /** The build, ended or not, that was submitted with this key. */
  findByIdempotencyKey(key: string): Promise<string | undefined>;
  /**
   * Ids of builds that have ended and are too many or too old, oldest first. Never the one of the highest
   * sequence: the next build counts on from it.
   */
  expired(expiry: Expiry): Promise<string[]>;
  /** Drops builds that have ended, with all that is kept of them. */
  forget(ids: readonly string[]): Promise<void>;
}

/** The build that an event belongs to. */
export function buildOf(event: DurableEvent): string {
  if ('attempt' in event) return event.attempt.build;
  return event.type === 'submitted' ? event.build.id : event.build;
}

/** What is said to registries, for whoever counts it. */
import type { Method } from './transport.ts';

export interface Traffic {
  /** `registry` is the host as references write it, also for what it sent on. No status: there was no answer. */
  asked(registry: string, method: Method, status: number | undefined): void;
  /** Something that failed is about to be asked again. */
  retried(registry: string): void;
}

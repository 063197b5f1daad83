/** What the judge reads of what it sees, in words of its own. */

export interface Attempt {
  readonly build: string;
  readonly platform: string;
  readonly number: number;
}

/** As much of a stored event as the judge reads. */
export interface Stored {
  readonly type: string;
  readonly at: number;
  readonly attempt?: Attempt;
  readonly build?: string | { readonly id: string };
  readonly platform?: string;
  readonly tags?: readonly string[];
  readonly agent?: string;
  readonly outcome?: string;
  readonly kind?: string;
  readonly error?: { readonly code: string };
}

export interface Host {
  readonly platforms: readonly { readonly platform: string; readonly native: boolean }[];
  readonly slots: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** An agent as it really is. */
export interface Seen {
  readonly facts: Host & { readonly name: string };
  readonly session: string;
  readonly connectedSince: number | undefined;
  readonly running: ReadonlyMap<string, { readonly startedAt: number }>;
  readonly unsettled: number;
}

export interface Expected {
  readonly id: string;
  readonly sequence: number;
  readonly platforms: readonly string[];
  readonly optional: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
  readonly emulation: boolean;
  readonly priority: number;
  /** Milliseconds for which it waits where no agent could have it. */
  readonly waitAgent: number;
  /** Milliseconds for which agents may work on each of its platforms. */
  readonly timeout: number;
  /** Milliseconds that it may take, without those that the coordinator was away or asleep. */
  readonly limit: number;
}

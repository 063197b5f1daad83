/** What the coordinator has heard of agents, and whether one of them could have been given work. */

interface Host {
  connected: boolean;
  state: string;
  isDrained: boolean;
  heardAt: number;
  /** The last moment at which it could have been given work, as far as that is over. */
  ableUntil: number;
  hopedForUntil: number;
  /** Attempts in a row that failed for its host's reasons: the coordinator may have turned away from it. */
  failures: number;
  failedAt: number;
  /** Offers in a row that came to nothing. */
  refusals: number;
  /** How often it was offered something. */
  offers: number;
  /** The attempts that its hello had. */
  listed: ReadonlySet<string>;
}

const lostAfter = 45_000;
const suspectAfter = 25_000;
/** So many in a row may bring a pause, and this is the longest one. */
const row = 3;
const longestPause = 30 * 60_000;

export class HostBook {
  readonly #now: () => number;
  readonly #hosts = new Map<string, Host>();

  constructor(now: () => number) {
    this.#now = now;
  }

  joined(name: string, { state, listed }: { state: string; listed: readonly string[] }): void {
    this.#change(name, (host) => {
      host.connected = true;
      host.heardAt = this.#now();
      host.state = state;
      host.listed = new Set(listed);
    });
  }

  heard(name: string): void {
    this.#change(name, (host) => (host.heardAt = this.#now()));
  }

  says(name: string, state: string): void {
    this.#change(name, (host) => {
      if (host.state !== 'ready' && state === 'ready') host.failures = 0;
      host.state = state;
    });
  }

  gone(name: string): void {
    this.#change(name, (host) => (host.connected = false));
  }

  /** A new life of the coordinator has heard nobody. */
  allGone(): void {
    for (const name of this.#hosts.keys()) this.gone(name);
  }

  drained(name: string, isDrained: boolean): void {
    this.#change(name, (host) => {
      host.isDrained = isDrained;
      if (isDrained) return;
      host.failures = 0;
      // Whatever it was before, it is worth a wait from now on.
      host.hopedForUntil = this.#now();
    });
  }

  /** An attempt ended there: `well` where that shows that its host works. */
  ended(name: string, how: 'well' | 'badly' | 'refused'): void {
    this.#change(name, (host) => {
      if (how === 'refused') host.refusals += 1;
      if (how === 'well') host.failures = 0;
      if (how !== 'badly') return;
      host.failures += 1;
      host.failedAt = this.#now();
    });
  }

  offered(name: string): void {
    this.#of(name).offers += 1;
  }

  began(name: string): void {
    this.#change(name, (host) => (host.refusals = 0));
  }

  isDrained(name: string): boolean {
    return this.#of(name).isDrained;
  }

  offers(name: string): number {
    return this.#of(name).offers;
  }

  heardAt(name: string): number {
    return this.#of(name).heardAt;
  }

  /** The last moment at which it could surely have been given work. */
  ableUntil(name: string): number {
    const host = this.#of(name);
    const isTrusted = host.failures < row || this.#now() - host.failedAt > longestPause;
    return this.#isUp(host) && isTrusted ? Math.min(this.#now(), host.heardAt + lostAfter) : host.ableUntil;
  }

  /** The last moment at which it could have been given work, if the coordinator had not turned away from it. */
  hopedForUntil(name: string): number {
    const host = this.#of(name);
    return this.#isUp(host) ? Math.min(this.#now(), host.heardAt + lostAfter) : host.hopedForUntil;
  }

  /** Nothing speaks against giving it work right now. */
  isWilling(name: string): boolean {
    const host = this.#of(name);
    const isTrusted = host.failures < row && host.refusals < row;
    return this.#isUp(host) && isTrusted && this.#now() - host.heardAt <= suspectAfter;
  }

  /** It said itself that it has this attempt, and still speaks. */
  keeps(name: string, attempt: string): boolean {
    const host = this.#of(name);
    return host.connected && host.listed.has(attempt) && this.#now() - host.heardAt <= suspectAfter;
  }

  #isUp({ connected, state, isDrained }: Host): boolean {
    return connected && state === 'ready' && !isDrained;
  }

  #change(name: string, change: (host: Host) => void): void {
    const host = this.#of(name);
    host.ableUntil = Math.max(host.ableUntil, this.ableUntil(name));
    host.hopedForUntil = Math.max(host.hopedForUntil, this.hopedForUntil(name));
    change(host);
  }

  #of(name: string): Host {
    const known = this.#hosts.get(name);
    if (known !== undefined) return known;
    const host = {
      connected: false,
      state: 'ready',
      isDrained: false,
      heardAt: 0,
      ableUntil: 0,
      hopedForUntil: 0,
      failures: 0,
      failedAt: 0,
      refusals: 0,
      offers: 0,
      listed: new Set<string>(),
    };
    this.#hosts.set(name, host);
    return host;
  }
}

/** Every wait of agent and coordinator in one object, so that a test can run the same code ten times faster. */

/** All in milliseconds. */
export interface Timers {
  /** Between two beats of an agent; ± 10 % jitter. */
  readonly heartbeat: number;
  /** Without a byte: no new work. */
  readonly suspect: number;
  /** Without a byte: its attempts go elsewhere. Also the length of a lease. */
  readonly lost: number;
  /** An offer that is not accepted in this time goes elsewhere. */
  readonly accept: number;
  /** An agent that failed or declined a task is not offered it again before this has passed; doubles with each more, up to `retryMax`. */
  readonly retry: number;
  readonly retryMax: number;
  /** An agent whose attempts failed three times in a row gets none for this long; doubles with each more, up to `cordonMax`. */
  readonly cordon: number;
  readonly cordonMax: number;
  /** A running attempt that gives no sign for this long is taken to be stuck. */
  readonly stall: number;
  /** How long an agent goes on building while it is cut off. */
  readonly cutOff: number;
  /** First pause before dialing again; doubles, with full jitter, up to `reconnectMax`. */
  readonly reconnect: number;
  readonly reconnectMax: number;
  /** A link that was up this long starts over with the first pause. */
  readonly reconnectReset: number;
  /** How long a draining agent lets its jobs finish before it cancels them. */
  readonly drain: number;
  /** After a coordinator start, or a pause of its own over `pause`: no lease expires. */
  readonly grace: number;
  readonly pause: number;
  /** Between two looks at deadlines. */
  readonly tick: number;
  /** First pause before an outcome that could not be stored is stored again; doubles, with full jitter, up to `storeMax`. */
  readonly store: number;
  readonly storeMax: number;
  /** Progress of an attempt is sent at least this often. */
  readonly progress: number;
  /** A peer must say hello within this time. */
  readonly hello: number;
  /** A follower that takes nothing of a log for this long is cut off, and resumes by number. */
  readonly follower: number;
  /** How long engines get to open a new build's context before it is taken to be wanted as a whole. */
  readonly selection: number;
  /** An image that starts as it is, has no health check and is still up after this long is taken to run. */
  readonly up: number;
  /** Between two looks of an agent at its engine; three that fail in a row end its work. */
  readonly engineLook: number;
  /** What runs on an engine that has not answered for so long goes elsewhere. */
  readonly engineLost: number;
  /** An agent's certificate is good for so long, and renewed at two thirds of that. */
  readonly certificate: number;
  /** What `archfarm agents add` prints can be used for so long. */
  readonly joinToken: number;
  /** Between two looks of an agent at its certificate. */
  readonly certificateLook: number;
}

export const defaultTimers: Timers = {
  heartbeat: 10_000,
  suspect: 25_000,
  lost: 45_000,
  accept: 10_000,
  retry: 10_000,
  retryMax: 5 * 60_000,
  cordon: 60_000,
  cordonMax: 30 * 60_000,
  stall: 15 * 60_000,
  cutOff: 15 * 60_000,
  reconnect: 500,
  reconnectMax: 30_000,
  reconnectReset: 60_000,
  drain: 15 * 60_000,
  grace: 90_000,
  pause: 5_000,
  tick: 1_000,
  store: 500,
  storeMax: 10_000,
  progress: 200,
  hello: 5_000,
  follower: 10_000,
  selection: 2_000,
  up: 5_000,
  engineLook: 5_000,
  engineLost: 60_000,
  certificate: 30 * 24 * 3600_000,
  joinToken: 3600_000,
  certificateLook: 60_000,
};

/** The same timers, `factor` times as long. */
export function scaleTimers(factor: number, timers: Timers = defaultTimers): Timers {
  const scaled = Object.fromEntries(
    Object.entries(timers).map(([name, value]: [string, number]) => [name, value * factor]),
  );
  return { ...timers, ...scaled };
}

/** The defaults, scaled by `ARCHFARM_TIMERS` (a factor: `0.1` is ten times faster) where a test sets it. */
export function timersFrom(env: Readonly<Record<string, string | undefined>>): Timers {
  const factor = Number(env['ARCHFARM_TIMERS'] ?? '1');
  return factor > 0 && factor <= 10 ? scaleTimers(factor) : defaultTimers;
}

/** What an agent's process takes of its host, as it tells the coordinator for its metrics. */
import * as v from 'valibot';

export interface ProcessUsage {
  /** Bytes of memory that are resident. */
  readonly memory: number;
  /** Milliseconds of processor time since it started. */
  readonly cpu: number;
  /** Milliseconds that its event loop was late at most since it told last. */
  readonly lag: number;
}

const milliseconds = v.pipe(v.number(), v.finite(), v.minValue(0));

export const processUsageSchema = v.strictObject({
  memory: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  cpu: milliseconds,
  lag: milliseconds,
}) satisfies v.GenericSchema<unknown, ProcessUsage>;

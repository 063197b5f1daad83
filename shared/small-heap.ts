/** Memory of daemons that share their host with the builds themselves. */
import { setFlagsFromString } from 'node:v8';

/**
 * Keeps V8's young generation from growing to tens of megabytes, and collects its old one when that has grown by half
 * instead of threefold. A context of 200,000 files then moves with 85 MB less, for 5 to 10 % more processor time of the
 * coordinator (scripts/bench).
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--heap-growing-percent=100');
}

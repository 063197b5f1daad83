/** One row of the table of faults: what happens, once or three times with --full, and the auditor's verdict after it. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Lab } from '../support/chaos-lab.ts';
import { audit } from './auditor.ts';
import { gather, type Gathering } from './evidence.ts';

export interface RowOptions extends Gathering {
  /** Also with --full. */
  readonly once?: boolean;
}

const usual = process.env['ARCHFARM_TEST_FULL'] === '1' ? 3 : 1;

/** To look at some rows alone: `ARCHFARM_TEST_ROWS='F3|F12'`. */
const wanted = new RegExp(`^(${process.env['ARCHFARM_TEST_ROWS'] ?? '.*'})$`);

/** `repository`: a name of its own for each time. */
export type Fault = (repository: string) => Promise<void>;

export function rowsOf(
  lab: Lab,
  { once = false, ...options }: RowOptions = {},
): (name: string, fault: Fault) => void {
  const times = once ? 1 : usual;
  return (name, fault) => {
    const [id = ''] = /^\w+/.exec(name) ?? [];
    if (!wanted.test(id)) return;
    for (let time = 1; time <= times; time += 1) {
      test(times === 1 ? name : `${name} (${time} of ${times})`, async () => {
        const began = performance.now();
        try {
          await fault(`${id.toLowerCase()}-${time}`);
        } catch (error) {
          // At once, as whatever ends the file leaves no summary.
          console.log(`${id}: ${String(error)}`);
          throw error;
        } finally {
          lab.calm();
        }
        const happened = performance.now();
        const violations = audit(await gather(lab, options));
        const seconds = (milliseconds: number): string => (milliseconds / 1000).toFixed(1);
        console.log(
          `${id}: ${seconds(happened - began)} s, audit ${seconds(performance.now() - happened)} s`,
        );
        for (const violation of violations) console.log(`${id}: ${violation}`);
        assert.equal(violations, []);
      });
    }
  };
}

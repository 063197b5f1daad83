import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { NotApplied, untilStored } from '../../../coordinator/farm/until-stored.ts';
import { silentLogger as log } from '../../../shared/log.ts';
import { defaultTimers } from '../../../shared/timers.ts';
import { until } from '../../support/until.ts';

const timers = { ...defaultTimers, store: 1, storeMax: 2 };

test('tries until it is stored, or nobody waits for it any more', async () => {
  const stop = new AbortController();
  const call = { timers, signal: stop.signal, log, about: {} };
  let tries = 0;
  await untilStored(async () => {
    if (++tries < 5) throw new Error('no space left');
  }, call);
  assert.is(tries, 5);
  const refused = untilStored(async () => {
    tries += 1;
    throw new Error('no space left');
  }, call);
  await until(() => tries > 8);
  stop.abort(new Error('the coordinator stops'));
  assert.match(String(await refused.catch((error: unknown) => error)), 'the coordinator stops');
});

test('does not store again what the farm can make nothing of', async () => {
  const { signal } = new AbortController();
  let tries = 0;
  const refused = untilStored(
    async () => {
      tries += 1;
      throw new NotApplied('choked');
    },
    { timers, signal, log, about: {} },
  );
  assert.match(String(await refused.catch((error: unknown) => error)), 'choked');
  assert.is(tries, 1);
});

test.run();

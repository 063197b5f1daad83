/** Who gets a place in a queue that is long, and who none. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Admission } from '../../../coordinator/server/admission.ts';
import { ArchfarmError } from '../../../shared/errors.ts';

/** A farm in which nobody builds anything: what is admitted waits. */
class FullFarm {
  readonly queued = new Map<string, number>();

  queuedBy = (): Map<string, number> => new Map(this.queued);
  take = (client: string): void => void this.queued.set(client, (this.queued.get(client) ?? 0) + 1);
}

const requireRoom = async (): Promise<void> => {};

/** Whether it was admitted; each admitted build is stored before the next one comes. */
async function apply(farm: FullFarm, admission: Admission, client: string): Promise<boolean> {
  try {
    using _place = await admission.enter(client);
    farm.take(client);
    return true;
  } catch (error) {
    assert.ok(error instanceof ArchfarmError && error.code === 'queue-full', String(error));
    return false;
  }
}

/** What it says to somebody for whom there is no place. */
async function refusalOf(admission: Admission, client: string): Promise<unknown> {
  return admission.enter(client).then(
    () => undefined,
    (refusal: unknown) => refusal,
  );
}

test('one client leaves the second half of the queue to others, and they get it', async () => {
  const farm = new FullFarm();
  const admission = new Admission(farm, { maxQueued: 200, requireRoom });
  for (let count = 0; count < 500; count += 1) await apply(farm, admission, 'ci@many');
  assert.is(farm.queued.get('ci@many'), 100);
  for (const other of ['a@x', 'b@x', 'c@x']) {
    for (let count = 0; count < 60; count += 1) await apply(farm, admission, other);
  }
  assert.equal(
    ['a@x', 'b@x', 'c@x'].map((other) => farm.queued.get(other)),
    [50, 50, undefined],
  );
  const error = await refusalOf(admission, 'c@x');
  assert.is(error instanceof ArchfarmError && error.message, '200 builds wait for an agent already');
});

test('the refusal of a client that has many says whose they are', async () => {
  const farm = new FullFarm();
  farm.queued.set('ci@many', 60).set('a@x', 50);
  const admission = new Admission(farm, { maxQueued: 200, requireRoom });
  const error = await refusalOf(admission, 'ci@many');
  assert.ok(error instanceof ArchfarmError);
  assert.is(error.message, '60 builds of ci@many wait for an agent already');
  assert.match(error.hint ?? '', 'archfarm serve --max-queued');
});

test('builds that come at the same moment count before they are stored', async () => {
  const admission = new Admission(new FullFarm(), { maxQueued: 10, requireRoom });
  const places = await Promise.all(Array.from({ length: 10 }, () => admission.enter('a@x')));
  assert.ok(await refusalOf(admission, 'a@x'));
  for (const place of places) place[Symbol.dispose]();
  // None of them came to anything.
  assert.is(await refusalOf(admission, 'b@x'), undefined);
});

test('where there is no room nothing is taken', async () => {
  const full = new ArchfarmError('disk-full', 'no space left');
  const admission = new Admission(new FullFarm(), { requireRoom: () => Promise.reject(full) });
  assert.is(await refusalOf(admission, 'a@x'), full);
});

test.run();

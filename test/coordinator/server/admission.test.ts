/** Who gets a place in a queue that is long, and who none. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Admission } from '../../../coordinator/server/admission.ts';
import { ArchfarmError } from '../../../shared/errors.ts';

/** A farm in which nobody builds anything: what is admitted waits. */
class FullFarm {
  readonly queued = new Map<string, number>();
  readonly keys = new Map<string, string>();

  queuedBy = (): Map<string, number> => new Map(this.queued);
  submittedWith = (key: string): Promise<string | undefined> => Promise.resolve(this.keys.get(key));
  take = (client: string): void => void this.queued.set(client, (this.queued.get(client) ?? 0) + 1);
}

const none = { idempotencyKey: undefined };

/** Whether it was admitted; each admitted build is stored before the next one comes. */
async function apply(farm: FullFarm, admission: Admission, client: string): Promise<boolean> {
  try {
    using _place = await admission.enter({ client, ...none });
    farm.take(client);
    return true;
  } catch (error) {
    assert.ok(error instanceof ArchfarmError && error.code === 'queue-full', String(error));
    return false;
  }
}

test('one client leaves the second half of the queue to others, and they get it', async () => {
  const farm = new FullFarm();
  const admission = new Admission(farm, { maxQueued: 200, requireRoom: () => {} });
  for (let count = 0; count < 500; count += 1) await apply(farm, admission, 'ci@many');
  assert.is(farm.queued.get('ci@many'), 100);
  for (const other of ['a@x', 'b@x', 'c@x']) {
    for (let count = 0; count < 60; count += 1) await apply(farm, admission, other);
  }
  assert.equal(
    ['a@x', 'b@x', 'c@x'].map((other) => farm.queued.get(other)),
    [50, 50, undefined],
  );
  const error = await admission.enter({ client: 'c@x', ...none }).catch((thrown: unknown) => thrown);
  assert.is(error instanceof ArchfarmError && error.message, '200 builds wait for an agent already');
});

test('the refusal of a client that has many says whose they are', async () => {
  const farm = new FullFarm();
  farm.queued.set('ci@many', 60).set('a@x', 50);
  const admission = new Admission(farm, { maxQueued: 200, requireRoom: () => {} });
  const error = await admission.enter({ client: 'ci@many', ...none }).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof ArchfarmError);
  assert.is(error.message, '60 builds of ci@many wait for an agent already');
  assert.match(error.hint ?? '', 'archfarm serve --max-queued');
});

test('builds that come at the same moment count before they are stored', async () => {
  const admission = new Admission(new FullFarm(), { maxQueued: 10, requireRoom: () => {} });
  const places = await Promise.allSettled(
    Array.from({ length: 100 }, () => admission.enter({ client: 'a@x', ...none })),
  );
  const admitted = places.flatMap((place) => (place.status === 'fulfilled' ? [place.value] : []));
  assert.is(admitted.length, 10);
  for (const place of admitted) place[Symbol.dispose]();
  // None of them came to anything.
  assert.ok(await admission.enter({ client: 'b@x', ...none }));
});

test('what was taken before is answered again, however long the queue is', async () => {
  const farm = new FullFarm();
  farm.queued.set('a@x', 10);
  farm.keys.set('known-key', 'build');
  const admission = new Admission(farm, { maxQueued: 10, requireRoom: () => {} });
  assert.ok(await admission.enter({ client: 'a@x', idempotencyKey: 'known-key' }));
  const other = await admission
    .enter({ client: 'a@x', idempotencyKey: 'other-key' })
    .catch((error: unknown) => error);
  assert.is(other instanceof Error && other.message, '10 builds wait for an agent already');
});

test('where there is no room nothing is taken, and what was taken before is answered again', async () => {
  const farm = new FullFarm();
  farm.keys.set('known-key', 'build');
  const full = new ArchfarmError('disk-full', 'no space left');
  const requireRoom = (): never => {
    throw full;
  };
  const admission = new Admission(farm, { requireRoom });
  assert.ok(await admission.enter({ client: 'a@x', idempotencyKey: 'known-key' }));
  const other = await admission.enter({ client: 'a@x', ...none }).catch((error: unknown) => error);
  assert.is(other, full);
});

test.run();

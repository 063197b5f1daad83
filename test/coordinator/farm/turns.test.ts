import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { newBuild } from '../../../coordinator/farm/build-state.ts';
import { createState } from '../../../coordinator/farm/farm-state.ts';
import type { Wait } from '../../../coordinator/farm/roster.ts';
import { Turns } from '../../../coordinator/farm/turns.ts';
import { defaultTimers } from '../../../shared/timers.ts';
import { amd64, sampleSpec } from '../../support/farm-fixtures.ts';

function waitOf(client: string, index: number, priority = 0): Wait {
  const spec = sampleSpec({ platforms: [amd64], priority });
  const build = newBuild({ id: `b${index}`, sequence: index + 1, client, spec }, 0);
  const [task] = build.tasks.values();
  return { build, task: task! };
}

/** Gives `slots` agents to those that wait; the order in which all of them are asked about. */
function asked(waiting: readonly Wait[], slots: number): string[] {
  const state = createState({ timers: defaultTimers, startedAt: 0 });
  const order: string[] = [];
  new Turns(state, waiting).take(({ build }) => {
    order.push(build.id);
    return order.length <= slots;
  });
  return order;
}

/** The same, looked for among all clients each time. */
function expected(waiting: readonly Wait[], slots: number): string[] {
  const left = [...waiting];
  const taken = new Map<string, number>();
  const order: string[] = [];
  while (left.length > 0) {
    const [best] = left.toSorted(
      (a, b) =>
        b.build.spec.priority - a.build.spec.priority ||
        (taken.get(a.build.client) ?? 0) - (taken.get(b.build.client) ?? 0) ||
        firstOf(a, waiting) - firstOf(b, waiting),
    );
    if (best === undefined) break;
    left.splice(left.indexOf(best), 1);
    order.push(best.build.id);
    const { client } = best.build;
    if (order.length <= slots) taken.set(client, (taken.get(client) ?? 0) + 1);
  }
  return order;
}

function firstOf({ build: { client, spec } }: Wait, waiting: readonly Wait[]): number {
  return waiting.findIndex(({ build }) => build.client === client && build.spec.priority === spec.priority);
}

test('whoever has the fewest slots comes first, then whoever came first', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const waiting = Array.from({ length: 60 }, (_, index) =>
      waitOf(`c${(index * index * seed) % (seed % 9 === 0 ? 60 : 7)}`, index, (index * seed) % 3),
    );
    for (const slots of [0, 10, 60]) assert.equal(asked(waiting, slots), expected(waiting, slots), `${seed}`);
  }
});

test('ten thousand clients have their turns as fast as few', () => {
  const waiting = Array.from({ length: 10_000 }, (_, index) => waitOf(`c${index}`, index));
  const before = process.cpuUsage();
  assert.is(asked(waiting, 1000).length, 10_000);
  const { user } = process.cpuUsage(before);
  assert.ok(user < 500_000, `${user} µs`);
});

test.run();

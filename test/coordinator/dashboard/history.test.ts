/** The list of builds, whose pages are read and whose news the farm tells, over a feed that breaks. */
import { answerWith, openLines } from '../../support/page.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { signal } from '@preact/signals';
import { historyOf, type BuildFilter } from '../../../coordinator/dashboard/builds/history.ts';
import { followFarm, openBuilds, timesTold } from '../../../coordinator/dashboard/farm/farm.ts';
import type { BuildStatus } from '../../../shared/progress.ts';
import { until } from '../../support/until.ts';

type Known = Readonly<Record<string, BuildStatus>>;

const pageSize = 100;

/** A coordinator with these builds, followed by the page. */
function followed(first: Known) {
  let known = first;
  let feed = openLines();
  const asked: string[] = [];
  const stop = new AbortController();
  const all = () =>
    Object.entries(known).map(([build, status]) => ({
      build,
      status,
      name: 'app',
      tags: [],
      platforms: [],
      timings: {},
    }));
  answerWith(({ request }) => {
    const query = new URLSearchParams(request.split('?')[1]);
    if (request.startsWith('GET /v1/farm')) {
      feed = openLines();
      const builds = all().filter(({ status }) => status === 'running');
      feed.say({ type: 'farm', at: 0, agents: [], builds });
      return feed.response;
    }
    asked.push(query.get('before') ?? 'newest');
    const before = query.get('before') ?? '~';
    const status = query.get('status');
    const rest = all()
      .filter((build) => build.build < before && (status === null || build.status === status))
      .toSorted((a, b) => (a.build < b.build ? 1 : -1));
    const builds = rest.slice(0, pageSize);
    return Response.json({ builds, ...(rest.length > pageSize ? { next: builds.at(-1)?.build } : {}) });
  });
  const following = followFarm(stop.signal);
  return {
    /** What pages were asked for. */
    asked,
    end(build: string): void {
      known = { ...known, [build]: 'succeeded' };
      const [result] = all().filter((one) => one.build === build);
      feed.say({ type: 'change', agents: [], builds: [], gone: [], ended: [result] });
    },
    /** All of that happens while nobody follows. */
    async breakWhile(changed: Known): Promise<void> {
      const times = timesTold.value;
      known = { ...known, ...changed };
      feed.close();
      await until(() => timesTold.value > times, { what: 'a new feed' });
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await following;
    },
  };
}

function listOf(filter: Partial<BuildFilter> = {}) {
  const list = historyOf(signal({ status: undefined, text: '', ...filter }));
  return {
    more: () => list.value.more(),
    shown: () => list.value.builds.value.map(({ build, status }) => `${build} ${status}`),
  };
}

test('what ended, or began and ended, while the feed was broken is in the list afterwards', async () => {
  await using farm = followed({ a: 'failed', b: 'running', c: 'running' });
  await until(() => openBuilds.value.length === 2);
  const list = listOf();
  await list.more();
  assert.equal(list.shown(), ['c running', 'b running', 'a failed']);
  await farm.breakWhile({ b: 'cancelled', d: 'succeeded' });
  assert.equal(list.shown(), ['c running', 'b running', 'a failed'], 'until it has been read');
  await list.more();
  assert.equal(list.shown(), ['d succeeded', 'c running', 'b cancelled', 'a failed']);
});

test('a list of one status loses what has another one since, and gains what has it now', async () => {
  await using farm = followed({ a: 'failed', b: 'running', c: 'failed' });
  await until(() => openBuilds.value.length === 1);
  const [failed, running] = [listOf({ status: 'failed' }), listOf({ status: 'running' })];
  await Promise.all([failed.more(), running.more()]);
  assert.equal(running.shown(), ['b running']);
  await farm.breakWhile({ b: 'failed' });
  await Promise.all([failed.more(), running.more()]);
  assert.equal(failed.shown(), ['c failed', 'b failed', 'a failed']);
  assert.equal(running.shown(), []);
});

test('as much is read again as was read before, in its place, and nothing is with what the farm tells', async () => {
  const many = Object.fromEntries(
    Array.from({ length: 350 }, (_, index) => [`m${1000 + index}`, 'succeeded'] as const),
  );
  await using farm = followed({ ...many, m1160: 'running' });
  await until(() => openBuilds.value.length === 1);
  const list = listOf();
  await list.more();
  await list.more();
  assert.equal(farm.asked, ['newest', 'm1250']);
  farm.end('m1160');
  await until(() => openBuilds.value.length === 0);
  assert.is(list.shown().length, 200);
  assert.is(farm.asked.length, 2);
  await farm.breakWhile({ m1200: 'failed', m2000: 'succeeded' });
  assert.is(list.shown().length, 200, 'until it has been read');
  await list.more();
  assert.equal(farm.asked.slice(2), ['newest', 'm1251']);
  const shown = list.shown();
  assert.is(shown.length, 200);
  assert.is(new Set(shown).size, 200);
  assert.is(shown[0], 'm2000 succeeded');
  assert.ok(shown.includes('m1200 failed'));
});

test.run();

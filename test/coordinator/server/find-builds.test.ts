import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findBuilds } from '../../../coordinator/server/find-builds.ts';
import type { ListOptions } from '../../../coordinator/store/store.ts';
import type { BuildResult } from '../../../shared/progress.ts';
import { digestOf } from '../../support/farm-fixtures.ts';

/** `b00000` is the oldest; every thousandth is called rare. */
const all = Array.from({ length: 5000 }, (_, index): BuildResult => {
  const build = `b${String(index).padStart(5, '0')}`;
  return {
    build,
    name: index % 1000 === 0 ? 'Rare' : 'usual',
    status: 'succeeded',
    created: index,
    client: index === 7 ? 'kari@lab-3' : 'ci',
    'image.name': '',
    tags: [`registry.test/app:${index}`],
    'containerimage.digest': digestOf(build),
    context: { digest: digestOf('context'), files: 1, bytes: 1, sentBytes: 0 },
    platforms: [],
    timings: { total: 1 },
  };
}).toReversed();

let reads = 0;

async function list({ limit, before = '~' }: ListOptions): Promise<BuildResult[]> {
  reads += 1;
  return all.filter(({ build }) => build < before).slice(0, limit);
}

test('without a text a page is what was asked for, and says where the next begins', async () => {
  const first = await findBuilds(list, { limit: 3 });
  assert.equal(
    first.builds.map(({ build }) => build),
    ['b04999', 'b04998', 'b04997'],
  );
  assert.is(first.next, 'b04997');
  const last = await findBuilds(list, { limit: 3, before: 'b00002' });
  assert.equal(
    last.builds.map(({ build }) => build),
    ['b00001', 'b00000'],
  );
  assert.is(last.next, undefined);
});

test('a search looks at so many builds in one request, and goes on in the next', async () => {
  const found: string[] = [];
  let next: string | undefined;
  let requests = 0;
  do {
    reads = 0;
    const page = await findBuilds(list, { limit: 50, text: 'rare', before: next });
    assert.ok(reads <= 10, `${reads} reads`);
    found.push(...page.builds.map(({ build }) => build));
    next = page.next;
    requests += 1;
  } while (next !== undefined);
  assert.equal(found, ['b04000', 'b03000', 'b02000', 'b01000', 'b00000']);
  assert.is(requests, 3);
});

test('ids, clients, tags and digests are found as well', async () => {
  for (const text of ['b00007', 'KARI', 'registry.test/app:7', digestOf('b00007')]) {
    const page = await findBuilds(list, { limit: 50, text, before: 'b00100' });
    assert.ok(
      page.builds.some(({ build }) => build === 'b00007'),
      text,
    );
  }
});

test('a page that is full ends where its last build is', async () => {
  const { builds, next } = await findBuilds(list, { limit: 1, text: 'rare' });
  assert.equal([builds[0]?.build, next], ['b04000', 'b04000']);
});

test.run();

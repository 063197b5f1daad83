import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Driver } from '../../../coordinator/store/database.ts';
import { SqliteStore } from '../../../coordinator/store/sqlite.ts';
import { archivedResult, archive } from '../../support/archived-builds.ts';
import { fillHistory } from '../../../scripts/rig/filled-history.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const hasNodeSqlite = major > 22 || (major === 22 && minor >= 13);
const drivers: readonly Driver[] = hasNodeSqlite ? ['libsql', 'node'] : ['libsql'];

const count = 100_000;
/** Milliseconds in the middle of many, on a machine that has other work: without its index, each takes hundreds. */
const enough = 25;

for (const driver of drivers) {
  const test = suite(`a ${driver} store of ${count} builds`);

  test('is listed, shown, searched, loaded and thinned out quickly', async () => {
    await using directory = await temporaryDirectory();
    {
      await using store = await SqliteStore.open(directory.path, { driver });
      await archive(store, archivedResult('0', 1));
    }
    await fillHistory(directory.path, { build: '0', count, driver });
    await using store = await SqliteStore.open(directory.path, { driver });
    const id = (n: number): string => `0${String(n).padStart(7, '0')}`;

    const opened = performance.now();
    assert.is((await store.load()).sequence, count + 1);
    assert.ok(performance.now() - opened < 500, 'a restart does not read all of history');
    const questions: Record<string, (n: number) => Promise<unknown>> = {
      list: () => store.builds({ limit: 20 }),
      'list a page further down': (n) => store.builds({ limit: 20, before: id(n * 900) }),
      'list by status': () => store.builds({ limit: 20, status: 'failed' }),
      'list by a status of none': () => store.builds({ limit: 20, status: 'superseded' }),
      show: (n) => store.build(id(n * 900)),
      find: (n) => store.find(id(n * 900)),
      publisher: (n) => store.publisher(`registry.test/app:${n * 900}`),
      'what expired': () => store.expired({ keep: count - 500, before: '', limit: 100 }),
    };
    for (const [what, ask] of Object.entries(questions)) {
      const times: number[] = [];
      for (let n = 1; n <= 100; n++) {
        const start = performance.now();
        await ask(n);
        times.push(performance.now() - start);
      }
      times.sort((a, b) => a - b);
      const [median = 0, late = 0] = [times[49], times[98]];
      assert.ok(median < enough, `${what}: p50 ${median.toFixed(2)} ms, p99 ${late.toFixed(2)} ms`);
      if (process.env['ARCHFARM_FIGURES'] === '1') {
        console.log(`${driver} ${what}: p50 ${median.toFixed(2)} ms, p99 ${late.toFixed(2)} ms`);
      }
    }
    const pauses: number[] = [];
    for (let n = 0; n < 10; n++) {
      const start = performance.now();
      await store.forget(await store.expired({ keep: count - 500, before: '', limit: 25 }));
      pauses.push(performance.now() - start);
    }
    pauses.sort((a, b) => a - b);
    assert.ok((pauses[4] ?? 0) < 4 * enough, `others wait ${pauses[4]} ms while a few builds go`);
    assert.equal(await store.find(id(50)), []);
  });

  test.run();
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDatabase, type Driver } from '../../../coordinator/store/database.ts';
import { SqliteStore } from '../../../coordinator/store/sqlite.ts';
import { systemCode } from '../../../shared/errors.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const hasNodeSqlite = major > 22 || (major === 22 && minor >= 13);
const drivers: readonly Driver[] = hasNodeSqlite ? ['libsql', 'node'] : ['libsql'];
const cuts = process.env['ARCHFARM_TEST_FULL'] === '1' ? 200 : 20;
const files = ['archfarm.db', 'archfarm.db-wal'];

/** Whether the process is stopped, and not just about to be. */
async function isStopped(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
}

for (const driver of drivers) {
  const test = suite(`a ${driver} store`);

  test('has after a power cut at any moment what it had acknowledged', async () => {
    await using directory = await temporaryDirectory();
    const [live, copy] = [join(directory.path, 'live'), join(directory.path, 'copy')];
    const writer = join(import.meta.dirname, '../../support/store-writer.ts');
    const child = spawn(process.execPath, ['--import', 'tsx', writer, live, driver], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const { pid = 0 } = child;
    try {
      let acknowledged = 0;
      createInterface({ input: child.stdout }).on('line', (line) => (acknowledged = Number(line)));
      await until(() => acknowledged > 0, { timeout: 30_000 });
      for (let cut = 0; cut < cuts; cut++) {
        const before = acknowledged;
        await until(() => acknowledged > before);
        // Anywhere within what it does next.
        await sleep(Math.random() * 5);
        child.kill('SIGSTOP');
        await until(() => isStopped(pid));
        const known = acknowledged;
        const place = `${copy}${cut}`;
        await mkdir(place);
        for (const file of files) {
          await copyFile(join(live, file), join(place, file)).catch((error: unknown) => {
            if (systemCode(error) !== 'ENOENT') throw error;
          });
        }
        child.kill('SIGCONT');
        await using store = await SqliteStore.open(place, { driver });
        const { events, sequence } = await store.load();
        assert.ok(sequence >= known, `cut ${cut}: ${sequence} stored, ${known} acknowledged`);
        assert.is(events.length, sequence, `cut ${cut}: every build that is there is whole`);
        const database = await openDatabase(join(place, 'archfarm.db'), driver);
        assert.equal(database.prepare('PRAGMA integrity_check').all(), [{ integrity_check: 'ok' }]);
        database.close();
      }
    } finally {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
  });

  test.run();
}

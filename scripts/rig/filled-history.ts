/** A store's file with many ended builds, each a copy of one that the store itself archived. */
import { join } from 'node:path';
import { openDatabase, type Driver } from '../../coordinator/store/database.ts';

/** Ids sort as they are numbered, after `build`; every tenth has failed. The store is closed meanwhile. */
export async function fillHistory(
  directory: string,
  { build, count, driver }: { build: string; count: number; driver?: Driver },
): Promise<void> {
  const database = await openDatabase(join(directory, 'archfarm.db'), driver);
  try {
    database.exec(`
      PRAGMA synchronous = OFF;
      BEGIN;
      CREATE TEMP TABLE copies AS
        WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${count})
        SELECT n, '${build}' || printf('%07d', n) AS id, iif(n % 10 = 0, 'failed', 'succeeded') AS status
        FROM numbers;
      INSERT INTO builds (id, sequence, idempotency_key, status, result)
        SELECT copies.id, builds.sequence + n, 'key-' || n, copies.status,
          json_set(builds.result, '$.build', copies.id, '$.status', copies.status,
            '$.tags', json_array('registry.test/app:' || n))
        FROM copies, builds WHERE builds.id = '${build}';
      INSERT INTO remains (build, remains)
        SELECT copies.id, remains.remains FROM copies, remains WHERE remains.build = '${build}';
      INSERT INTO tags (tag, sequence)
        SELECT 'registry.test/app:' || n, sequence FROM copies JOIN builds ON builds.id = copies.id;
      DROP TABLE copies;
      COMMIT;
    `);
  } finally {
    database.close();
  }
}

/** What the coordinator has stored, read with plain SQL from beside it. */
import type { StoredBuild } from './auditor.ts';

interface Row {
  readonly id: string;
  readonly sequence: number;
  readonly status: string | null;
  readonly result: string | null;
}

/** Opened anew each time: a coordinator that was killed leaves its write-ahead log to whoever comes next. */
export async function readStore(data: string): Promise<StoredBuild[]> {
  return (await query<Row>(data, 'SELECT id, sequence, status, result FROM builds ORDER BY sequence')).map(
    ({ id, sequence, status, result }) => {
      const { 'containerimage.digest': digest }: { 'containerimage.digest'?: string } = JSON.parse(
        result ?? '{}',
      );
      return { id, sequence, status: status ?? undefined, digest };
    },
  );
}

/** Kinds of the events of builds that go on, in their order. */
export async function readEvents(data: string): Promise<string[]> {
  const rows = await query<{ type: string }>(
    data,
    "SELECT json_extract(event, '$.type') AS type FROM events ORDER BY number",
  );
  return rows.map(({ type }) => type);
}

/** `ok` where every page of the file is sound. */
export async function integrity(data: string): Promise<string> {
  const [row] = await query<{ integrity_check: string }>(data, 'PRAGMA integrity_check');
  return row?.integrity_check ?? '';
}

async function query<T>(data: string, sql: string): Promise<T[]> {
  const { default: Libsql } = await import('libsql');
  const database = new Libsql(`${data}/archfarm.db`, { timeout: 5_000 });
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a query selects is its own type
    return database.prepare(sql).all() as T[];
  } finally {
    database.close();
  }
}

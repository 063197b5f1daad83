/** One SQLite file: by Node itself where it can, else by libsql, which has the same shape. */
import { ArchfarmError, messageOf } from '../../shared/errors.ts';

export type Value = string | number | null;

export interface Statement {
  run(...values: Value[]): unknown;
  get(...values: Value[]): unknown;
  all(...values: Value[]): unknown[];
}

export interface Database {
  exec(sql: string): unknown;
  prepare(sql: string): Statement;
  close(): unknown;
}

export type Driver = 'node' | 'libsql';

/** With `driver`, that one and no other. */
export async function openDatabase(path: string, driver?: Driver): Promise<Database> {
  const missing: string[] = [];
  for (const [name, load] of Object.entries({ node: loadNode, libsql: loadLibsql })) {
    if (driver !== undefined && driver !== name) continue;
    try {
      const open = await load();
      return open(path);
    } catch (thrown) {
      if (!isMissing(thrown)) throw thrown;
      missing.push(messageOf(thrown));
    }
  }
  throw new ArchfarmError(
    'config',
    `no SQLite for Node ${process.version} on ${process.platform}/${process.arch}`,
    {
      hint: 'run the coordinator with Node 22.13 or later, which has SQLite built in',
      cause: new Error(missing.join('; ')),
    },
  );
}

type Open = (path: string) => Database;

async function loadNode(): Promise<Open> {
  // Named by a variable, as the type declarations of the oldest supported Node do not have it.
  const name: string = 'node:sqlite';
  const { DatabaseSync } = await import(name);
  return (path) => new DatabaseSync(path);
}

async function loadLibsql(): Promise<Open> {
  const { default: Libsql } = await import('libsql');
  return (path) => new Libsql(path);
}

function isMissing(thrown: unknown): boolean {
  if (!(thrown instanceof Error) || !('code' in thrown)) return false;
  // libsql is there for every machine, its native part only for some.
  return ['ERR_UNKNOWN_BUILTIN_MODULE', 'ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'].includes(
    String(thrown.code),
  );
}

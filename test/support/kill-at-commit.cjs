/**
 * Loaded into a coordinator by NODE_OPTIONS: ends it as a power cut does, right before or right after the store
 * commits an event of a kind. The product knows nothing of this: the SQLite library is wrapped. The file named by
 * ARCHFARM_TEST_KILL_AT says when (`before published`, `after offered`), and is taken away as it strikes.
 */
const { existsSync, readFileSync, rmSync } = require('node:fs');

const file = process.env.ARCHFARM_TEST_KILL_AT;

/** Kinds of events in the transaction that is open. */
let kinds = new Set();

function wrap(Database) {
  const { exec, prepare } = Database.prototype;
  Database.prototype.exec = function (sql) {
    if (sql === 'COMMIT') strike('before');
    const answer = exec.call(this, sql);
    if (sql === 'COMMIT') strike('after');
    if (/^(COMMIT|ROLLBACK)/.test(sql)) kinds = new Set();
    return answer;
  };
  Database.prototype.prepare = function (sql) {
    const statement = prepare.call(this, sql);
    const kindOf = /INTO events/.test(sql)
      ? (values) => JSON.parse(values[0]).type
      : sql.startsWith('UPDATE builds SET status')
        ? () => 'archived'
        : undefined;
    if (kindOf === undefined) return statement;
    const { run } = statement;
    statement.run = function (...values) {
      kinds.add(kindOf(values));
      return run.apply(this, values);
    };
    return statement;
  };
}

function strike(moment) {
  if (!existsSync(file)) return;
  const [wantedMoment, kind] = readFileSync(file, 'utf8').trim().split(' ');
  if (moment !== wantedMoment || !kinds.has(kind)) return;
  rmSync(file);
  process.kill(process.pid, 'SIGKILL');
}

if (file !== undefined) {
  let sqlite;
  try {
    sqlite = require('node:sqlite').DatabaseSync;
  } catch {
    // An older Node, where the coordinator takes libsql.
    sqlite = require('libsql');
  }
  wrap(sqlite);
}

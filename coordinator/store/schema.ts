/** The tables of the durable store, and how older layouts of them become the present one. */
import { ArchfarmError } from '../../shared/errors.ts';
import { tagKey } from '../registry/spelling.ts';
import type { Database } from './database.ts';
import { numberOf, textOf } from './row.ts';

const builds = `
  CREATE TABLE builds (
    id TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL UNIQUE,
    idempotency_key TEXT UNIQUE,
    status TEXT,
    result TEXT
  );
  CREATE INDEX builds_by_status ON builds (status, id);
  CREATE INDEX builds_unfinished ON builds (sequence) WHERE status IS NULL;
  CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    build TEXT NOT NULL,
    event TEXT NOT NULL
  );
  CREATE INDEX events_by_build ON events (build);
  CREATE TABLE tags (
    tag TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL
  ) WITHOUT ROWID;
`;

/** What an ended build leaves to go on from; builds that were archived before layout 2 have none. */
const remains = `
  CREATE TABLE remains (
    build TEXT PRIMARY KEY,
    remains TEXT NOT NULL
  ) WITHOUT ROWID;
`;

/** Orders to agents. */
const drained = `
  CREATE TABLE drained (
    agent TEXT PRIMARY KEY,
    drained_by TEXT NOT NULL,
    drained_at INTEGER NOT NULL
  ) WITHOUT ROWID;
`;

/** Rows that are only ever added, and dropped from the beginning when there are too many. */
const audit = `
  CREATE TABLE IF NOT EXISTS audit (
    number INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    entry TEXT NOT NULL,
    hash TEXT NOT NULL
  );
  CREATE TRIGGER IF NOT EXISTS audit_is_kept BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'rows of the audit do not change');
  END;
`;

const users = `
  CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    repositories TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    added_at INTEGER NOT NULL,
    added_by TEXT NOT NULL
  ) WITHOUT ROWID;
`;

/** Those that may join by certificate, and those that have. */
const agents = `
  CREATE TABLE IF NOT EXISTS agents (
    name TEXT PRIMARY KEY,
    record TEXT NOT NULL
  ) WITHOUT ROWID;
`;

/** PEM by which a user signs in beside its token; empty where it has none. */
const userCertificates = `
  ALTER TABLE users ADD COLUMN certificate TEXT NOT NULL DEFAULT '';
`;

/** Before, each spelling of a registry had a row of its own, for what is one tag. */
function tagKeys(database: Database): void {
  const rows = database.prepare('SELECT tag, sequence FROM tags').all();
  const insert = database.prepare(
    'INSERT INTO tags (tag, sequence) VALUES (?, ?) ON CONFLICT (tag) DO UPDATE SET sequence = max(sequence, excluded.sequence)',
  );
  const drop = database.prepare('DELETE FROM tags WHERE tag = ?');
  for (const row of rows) {
    const tag = textOf(row, 'tag');
    if (tagKey(tag) === tag) continue;
    insert.run(tagKey(tag), numberOf(row, 'sequence'));
    drop.run(tag);
  }
  database.exec('CREATE INDEX IF NOT EXISTS tags_by_sequence ON tags (sequence)');
}

/** What each layout added to the one before, from layout 1 on. */
const layouts = [builds, remains, drained, audit, users, agents, userCertificates, tagKeys];

/** Throws `config` where a newer archfarm wrote it. */
export function prepareSchema(database: Database, directory: string): void {
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  const version = numberOf(database.prepare('PRAGMA user_version').get(), 'user_version');
  if (version > layouts.length) {
    throw new ArchfarmError('config', `data directory ${directory} was written by a newer archfarm`, {
      hint: `this one knows layout ${layouts.length}, the directory has ${version}: run the newer archfarm`,
    });
  }
  const missing = layouts.slice(version);
  if (missing.length === 0) return;
  database.exec('BEGIN');
  for (const layout of missing) {
    if (typeof layout === 'string') database.exec(layout);
    else layout(database);
  }
  database.exec(`PRAGMA user_version = ${layouts.length}; COMMIT`);
}

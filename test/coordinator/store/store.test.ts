import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { DurableEvent, Remains } from '../../../coordinator/farm/events.ts';
import { createState } from '../../../coordinator/farm/farm-state.ts';
import { resultOf } from '../../../coordinator/farm/result.ts';
import { apply } from '../../../coordinator/farm/state.ts';
import { openDatabase } from '../../../coordinator/store/database.ts';
import { MemoryStore } from '../../../coordinator/store/memory.ts';
import { SqliteStore } from '../../../coordinator/store/sqlite.ts';
import { buildOf, type Store } from '../../../coordinator/store/store.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import type { BuildResult, BuildStatus } from '../../../shared/progress.ts';
import { defaultTimers } from '../../../shared/timers.ts';
import { pushedBy, sampleSpec, verifiedFrom } from '../../support/farm-fixtures.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const hasNodeSqlite = major > 22 || (major === 22 && minor >= 13);
const kinds: Record<string, (directory: string) => Promise<Store>> = {
  memory: () => Promise.resolve(new MemoryStore()),
  libsql: (directory) => SqliteStore.open(directory, { driver: 'libsql' }),
  ...(hasNodeSqlite ? { node: (directory) => SqliteStore.open(directory, { driver: 'node' }) } : {}),
};

function submitted(id: string, sequence: number, key?: string): DurableEvent {
  return {
    type: 'submitted',
    at: sequence,
    build: {
      id,
      sequence,
      spec: sampleSpec(),
      client: 'test',
      ...(key === undefined ? {} : { idempotencyKey: key }),
    },
  };
}

const sampleAttempt = { build: 'one', platform: 'linux/amd64', number: 1 };
const remains: Remains = {
  sequence: 1,
  spec: sampleSpec(),
  images: { 'linux/amd64': verifiedFrom(sampleAttempt, pushedBy(sampleAttempt)) },
};

function resultFor(event: DurableEvent, status: BuildStatus): BuildResult {
  const state = createState({ timers: defaultTimers, startedAt: 0 });
  apply(state, event);
  const [build] = state.builds.values();
  if (build === undefined) throw new Error('not a submission');
  const digest = { 'containerimage.digest': 'sha256:list' };
  return { ...resultOf(build, { at: 10 }), status, ...(status === 'succeeded' ? digest : {}) };
}

for (const [kind, open] of Object.entries(kinds)) {
  const test = suite(`${kind} store`);

  test('gives back the events of unfinished builds in order, and the last sequence', async () => {
    await using directory = await temporaryDirectory();
    await using store = await open(directory.path);
    const [one, two] = [submitted('one', 1), submitted('two', 2)];
    const offered: DurableEvent = {
      type: 'offered',
      at: 3,
      attempt: { build: 'one', platform: 'linux/amd64', number: 1 },
      agent: 'a',
      session: 'a-1',
      native: true,
    };
    await store.append([one, two]);
    await store.append([offered]);
    await store.append([], [{ result: resultFor(two, 'failed'), remains: remains }]);
    const saved = await store.load();
    assert.equal(saved.events, [one, offered]);
    assert.is(saved.sequence, 2);
  });

  test('drops events of builds that have ended or were never submitted', async () => {
    await using directory = await temporaryDirectory();
    await using store = await open(directory.path);
    const one = submitted('one', 1);
    await store.append([one]);
    await store.append([], [{ result: resultFor(one, 'cancelled'), remains: remains }]);
    await store.append([
      { type: 'superseded', at: 5, build: 'one' },
      { type: 'superseded', at: 5, build: 'never' },
    ]);
    assert.equal((await store.load()).events, []);
    assert.is((await store.build('one'))?.status, 'cancelled');
    await store.append([], [{ result: resultFor(one, 'failed'), remains: remains }]);
    assert.is((await store.build('one'))?.status, 'cancelled', 'the first ending stays');
  });

  test('lists results newest first, page by page and by status', async () => {
    await using directory = await temporaryDirectory();
    await using store = await open(directory.path);
    for (let n = 1; n <= 5; n++) {
      const event = submitted(`b${n}`, n);
      await store.append([event]);
      await store.append(
        [],
        [{ result: resultFor(event, n % 2 === 0 ? 'failed' : 'succeeded'), remains: remains }],
      );
    }
    const ids = async (options: Parameters<Store['builds']>[0]): Promise<string[]> =>
      (await store.builds(options)).map(({ build }) => build);
    assert.equal(await ids({ limit: 2 }), ['b5', 'b4']);
    assert.equal(await ids({ limit: 2, before: 'b4' }), ['b3', 'b2']);
    assert.equal(await ids({ limit: 9, status: 'failed' }), ['b4', 'b2']);
    assert.equal(await store.find('b'), ['b1', 'b2']);
    assert.equal(await store.find('b3'), ['b3']);
    assert.equal(await store.find('c'), []);
  });

  test('remembers idempotency keys of builds that go on and of those that ended', async () => {
    await using directory = await temporaryDirectory();
    await using store = await open(directory.path);
    const one = submitted('one', 1, 'key-one');
    await store.append([one, submitted('two', 2, 'key-two')]);
    await store.append([], [{ result: resultFor(one, 'succeeded'), remains: remains }]);
    assert.is(await store.findByIdempotencyKey('key-one'), 'one');
    assert.is(await store.findByIdempotencyKey('key-two'), 'two');
    assert.is(await store.findByIdempotencyKey('key'), undefined);
  });

  test('remembers who published a tag as long as an older build goes on', async () => {
    await using directory = await temporaryDirectory();
    await using store = await open(directory.path);
    const newer = submitted('newer', 2);
    await store.append([submitted('older', 1), newer]);
    await store.append([], [{ result: resultFor(newer, 'succeeded'), remains: remains }]);
    assert.is((await store.load()).published.get('localhost:5000/onap/py-app:latest'), 2);
  });

  test('a build that published and then failed its proof has published its tags all the same', async () => {
    await using directory = await temporaryDirectory();
    await using store = await open(directory.path);
    const newer = submitted('newer', 2);
    await store.append([submitted('older', 1), newer]);
    await store.append(
      [],
      [{ result: { ...resultFor(newer, 'succeeded'), status: 'failed' }, remains: remains }],
    );
    assert.is((await store.load()).published.get('localhost:5000/onap/py-app:latest'), 2);
  });

  test('drops ended builds that are too many or too old, and never one that goes on', async () => {
    await using directory = await temporaryDirectory();
    await using store = await open(directory.path);
    const events = [1, 2, 3, 4, 5].map((n) => submitted(`b${n}`, n, `key-${n}`));
    await store.append(events);
    for (const event of events) {
      if (buildOf(event) !== 'b2')
        await store.append([], [{ result: resultFor(event, 'succeeded'), remains: remains }]);
    }
    assert.equal(await store.expired({ keep: 9, before: '', limit: 9 }), []);
    assert.equal(await store.expired({ keep: 2, before: '', limit: 9 }), ['b1', 'b3']);
    assert.equal(await store.expired({ keep: 9, before: 'b4', limit: 9 }), ['b1', 'b3']);
    assert.equal(await store.expired({ keep: 1, before: 'b9', limit: 2 }), ['b1', 'b3']);
    assert.equal(await store.expired({ keep: 1, before: 'b9', limit: 9 }), ['b1', 'b3', 'b4']);
    await store.forget(['b1', 'b2', 'b3']);
    assert.equal(
      (await store.builds({ limit: 9 })).map(({ build }) => build),
      ['b5', 'b4'],
    );
    assert.is(await store.build('b3'), undefined);
    assert.is(await store.remains('b3'), undefined);
    assert.is(await store.findByIdempotencyKey('key-3'), undefined);
    assert.is(await store.findByIdempotencyKey('key-2'), 'b2');
    assert.equal((await store.load()).events, [events[1]]);
  });

  test('an older build that goes on learns of a newer one that was dropped', async () => {
    await using directory = await temporaryDirectory();
    await using store = await open(directory.path);
    const [older, newer, newest] = [submitted('b1', 1), submitted('b2', 2), submitted('b3', 3)];
    await store.append([older, newer, newest]);
    await store.append([], [{ result: resultFor(newer, 'succeeded'), remains: remains }]);
    await store.forget(['b2']);
    assert.is((await store.load()).published.get('localhost:5000/onap/py-app:latest'), 2);
    assert.is(await store.publisher('localhost:5000/onap/py-app:latest'), undefined);
  });

  test('keeps what an ended build leaves to go on from, and knows who published a tag last', async () => {
    await using directory = await temporaryDirectory();
    await using store = await open(directory.path);
    const [one, two, three] = [submitted('one', 1), submitted('two', 2), submitted('three', 3)];
    await store.append([one, two, three]);
    assert.is(await store.remains('one'), undefined);
    await store.append([], [{ result: resultFor(two, 'succeeded'), remains: { ...remains, sequence: 2 } }]);
    await store.append([], [{ result: resultFor(one, 'succeeded'), remains: remains }]);
    await store.append([], [{ result: resultFor(three, 'failed'), remains: { ...remains, sequence: 3 } }]);
    await store.append([], [{ result: resultFor(one, 'succeeded'), remains: { ...remains, images: {} } }]);
    assert.equal(await store.remains('one'), remains);
    assert.is((await store.remains('three'))?.sequence, 3);
    assert.is(await store.publisher('localhost:5000/onap/py-app:latest'), 'two');
    assert.is(await store.publisher('localhost:5000/onap/py-app:2'), undefined);
  });

  test('knows a tag by each of its spellings', async () => {
    await using directory = await temporaryDirectory();
    await using store = await open(directory.path);
    const newer = submitted('newer', 2);
    await store.append([submitted('older', 1), newer]);
    const result = { ...resultFor(newer, 'succeeded'), tags: ['Registry.lab:443/x/y:1'] };
    await store.append([], [{ result, remains }]);
    assert.equal([...(await store.load()).published], [['registry.lab/x/y:1', 2]]);
    assert.is(await store.publisher('registry.lab/x/y:1'), 'newer');
    assert.is(await store.publisher('REGISTRY.LAB/x/y:1'), 'newer');
  });

  if (kind !== 'memory') {
    test('takes up a directory of an archfarm that kept no more than results', async () => {
      await using directory = await temporaryDirectory();
      {
        await using store = await open(directory.path);
        await store.append([submitted('one', 1)]);
      }
      const database = await openDatabase(join(directory.path, 'archfarm.db'));
      database.exec(
        'DROP TABLE remains; DROP TABLE drained; DROP TABLE audit; DROP TABLE users; DROP TABLE agents; PRAGMA user_version = 1',
      );
      database.close();
      await using store = await open(directory.path);
      assert.is((await store.load()).events.length, 1);
      assert.is(await store.remains('one'), undefined);
      await store.append([], [{ result: resultFor(submitted('one', 1), 'failed'), remains: remains }]);
      assert.equal(await store.remains('one'), remains);
    });

    test('takes up the users of an archfarm that knew none by certificate', async () => {
      await using directory = await temporaryDirectory();
      {
        await using _empty = await open(directory.path);
      }
      const database = await openDatabase(join(directory.path, 'archfarm.db'));
      database.exec(`
        DROP TABLE users;
        CREATE TABLE users (
          name TEXT PRIMARY KEY, role TEXT NOT NULL, repositories TEXT NOT NULL, token_hash TEXT NOT NULL UNIQUE,
          added_at INTEGER NOT NULL, added_by TEXT NOT NULL
        ) WITHOUT ROWID;
        INSERT INTO users VALUES ('alice', 'build', '["lab/onap"]', 'abc', 5, 'the shared token');
        PRAGMA user_version = 6
      `);
      database.close();
      const alice = { name: 'alice', role: 'build', repositories: ['lab/onap'], tokenHash: 'abc' };
      const added = { addedAt: 5, addedBy: 'the shared token' };
      const bob = { ...alice, ...added, name: 'bob', tokenHash: 'def', certificate: 'PEM' };
      {
        await using store = await open(directory.path);
        assert.equal(store.users.all(), [{ ...alice, ...added, certificate: undefined }]);
        store.users.add(bob);
      }
      await using store = await open(directory.path);
      assert.equal(store.users.all()[1], bob);
    });

    test('takes up the tags of an archfarm that knew each by one spelling alone', async () => {
      await using directory = await temporaryDirectory();
      {
        await using store = await open(directory.path);
        await store.append([submitted('b0', 1), submitted('b2', 2), submitted('b3', 3), submitted('b4', 4)]);
        for (const [number, id] of ['b2', 'b3', 'b4'].entries())
          await store.append([], [{ result: resultFor(submitted(id, number + 2), 'failed'), remains }]);
      }
      const database = await openDatabase(join(directory.path, 'archfarm.db'));
      database.exec(
        `INSERT INTO tags VALUES ('registry.lab/x:1', 2), ('Registry.lab:443/x:1', 3), ('Registry.lab:443/x:2', 4);
         DROP INDEX tags_by_sequence; PRAGMA user_version = 7`,
      );
      database.close();
      await using store = await open(directory.path);
      const { published } = await store.load();
      assert.equal(Object.fromEntries(published), { 'registry.lab/x:1': 3, 'registry.lab/x:2': 4 });
    });

    test('is there again after it was closed, and refuses a second opener meanwhile', async () => {
      await using directory = await temporaryDirectory();
      {
        await using store = await open(directory.path);
        await store.append([submitted('one', 1)]);
        const second = await open(directory.path).catch((thrown: unknown) => thrown);
        assert.instance(second, ArchfarmError);
        assert.match(String(second), `${directory.path} is in use by another coordinator`);
      }
      await using again = await open(directory.path);
      assert.is((await again.load()).events.length, 1);
    });

    test('takes all events of an append or none', async () => {
      await using directory = await temporaryDirectory();
      await using store = await open(directory.path);
      await store.append([submitted('one', 1)]);
      const failure = await store
        .append([submitted('two', 2), submitted('one', 1)])
        .catch((thrown: unknown) => thrown);
      assert.instance(failure, Error);
      assert.is((await store.load()).events.length, 1);
      await store.append([submitted('two', 2)]);
      assert.is((await store.load()).events.length, 2);
    });

    test('has every acknowledged event after its process was killed', async () => {
      await using directory = await temporaryDirectory();
      const writer = join(import.meta.dirname, '../../support/store-writer.ts');
      const child = spawn(process.execPath, ['--import', 'tsx', writer, directory.path, kind], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let acknowledged = 0;
      for await (const line of createInterface({ input: child.stdout })) {
        acknowledged = Number(line);
        if (acknowledged === 200) child.kill('SIGKILL');
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      assert.is(child.signalCode, 'SIGKILL');
      await using store = await open(directory.path);
      const { events, sequence } = await store.load();
      assert.ok(sequence >= acknowledged, `${sequence} stored, ${acknowledged} acknowledged`);
      assert.equal(
        events.map(({ at }) => at),
        Array.from({ length: sequence }, (_, index) => index + 1),
      );
    });
  }

  test.run();
}

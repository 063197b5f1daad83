import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { newBuildId } from '../../../coordinator/farm/build-id.ts';
import { FrameLog } from '../../../coordinator/store/frames.ts';
import { defaultHistory, History } from '../../../coordinator/store/history.ts';
import { SqliteStore } from '../../../coordinator/store/sqlite.ts';
import { archive, archivedResult, type ArchivedBuild } from '../../support/archived-builds.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const now = Date.UTC(2026, 0, 31);
const hour = 3_600_000;
/** One each hour, the newest now. */
const builds = Array.from({ length: 6 }, (_, n) => archivedResult(newBuildId(now - (5 - n) * hour), n + 1));
const ids = builds.map(({ result }) => result.build);
const openBuild = builds[1];
if (openBuild === undefined) throw new Error('no build');

function write(frames: FrameLog, { result }: ArchivedBuild): void {
  frames.append(result.build, {
    events: [{ type: 'log', time: 1, step: 's', stream: 'stdout', text: 'x'.repeat(1000) }],
  });
  if (result !== openBuild?.result)
    frames.append(result.build, { events: [{ type: 'result', time: 2, result }] });
}

/** What is left of builds and logs after a sweep within these bounds; the second build goes on. */
async function swept(bounds: Partial<typeof defaultHistory>): Promise<{ builds: number[]; logs: number[] }> {
  await using directory = await temporaryDirectory();
  await using store = await SqliteStore.open(directory.path);
  await using frames = new FrameLog({ directory: `${directory.path}/logs` });
  for (const build of builds) {
    await (build === openBuild ? store.append([build.submitted]) : archive(store, build));
    write(frames, build);
  }
  const history = new History({ store, frames, bounds: { ...defaultHistory, ...bounds }, now: () => now });
  await history.sweep();
  await history.close();
  const kept = new Set((await store.builds({ limit: 9 })).map(({ build }) => build));
  const opened = (await store.load()).events.map((event) =>
    event.type === 'submitted' ? event.build.id : '',
  );
  const places = (has: (id: string) => boolean): number[] => ids.flatMap((id, n) => (has(id) ? [n] : []));
  return {
    builds: places((id) => kept.has(id) || opened.includes(id)),
    logs: places((id) => frames.has(id)),
  };
}

test('keeps everything within the usual bounds', async () => {
  const all = [0, 1, 2, 3, 4, 5];
  assert.equal(await swept({}), { builds: all, logs: all });
  assert.equal(await swept({ age: Infinity, logs: Infinity }), { builds: all, logs: all });
});

test('keeps as many builds as told, with their logs, and the one that goes on', async () => {
  assert.equal(await swept({ builds: 2 }), { builds: [1, 4, 5], logs: [1, 4, 5] });
});

test('keeps builds as long as told', async () => {
  assert.equal(await swept({ age: 2.5 * hour }), { builds: [1, 3, 4, 5], logs: [1, 3, 4, 5] });
});

test('drops the oldest logs beyond a size and leaves their builds', async () => {
  // One is 1 kB of output and a result, the open one has no result.
  const [size] = builds.map(({ result }) => 1200 + JSON.stringify(result).length);
  assert.equal(await swept({ logs: (size ?? 0) * 2.5 }), { builds: [0, 1, 2, 3, 4, 5], logs: [1, 4, 5] });
  assert.equal(await swept({ logs: 0 }), { builds: [0, 1, 2, 3, 4, 5], logs: [1] });
});

test('goes on with a sweep that was interrupted', async () => {
  await using directory = await temporaryDirectory();
  await using store = await SqliteStore.open(directory.path);
  await using frames = new FrameLog({ directory: `${directory.path}/logs` });
  for (const build of builds) {
    await archive(store, build);
    write(frames, build);
  }
  await frames.remove(ids[0] ?? '');
  const history = new History({ store, frames, bounds: { ...defaultHistory, builds: 1 }, now: () => now });
  await history.sweep();
  assert.equal(
    (await store.builds({ limit: 9 })).map(({ build }) => build),
    ids.slice(-1),
  );
  assert.is((await store.load()).sequence, 6);
});

test.run();

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MtimeStore, type MtimeLease } from '../../../agent/engine/mtimes.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';

const own = 1_700_000_000_123_456_789n;

function fileOf(content: string, mtime = own, mode = 0o644): Parameters<MtimeLease['serve']>[1] {
  return { mode, size: content.length, digest: digestOf(Buffer.from(content)), mtime };
}

/** One build: what it was told for one path, and the key it ran under. */
async function serve(
  directory: string,
  files: readonly Parameters<MtimeLease['serve']>[1][],
): Promise<[string, bigint[]]> {
  await using lease = await new MtimeStore(directory).open('key');
  const told = files.map((file) => lease.ways.mtime(lease.serve('context/f', file)));
  await lease.flush();
  return [lease.sharedKey, told];
}

test('tells the true mtime unless the content is the last one, or another had that mtime', async () => {
  await using directory = await temporaryDirectory();
  const [key, [first, changed, grown, again]] = await serve(directory.path, [
    fileOf('aaaa'),
    fileOf('bbbb'),
    fileOf('ccccc'),
    fileOf('ccccc', own + 5n),
  ]);
  assert.is(first, own);
  assert.is.not(changed, own);
  assert.is(changed! / 1_000_000_000n, own / 1_000_000_000n);
  assert.is(grown, own, 'another size tells them apart');
  assert.is(again, own, 'the content is the one served last');
  const [sameKey, [back, executable]] = await serve(directory.path, [
    fileOf('aaaa'),
    fileOf('aaaa', own + 9n, 0o755),
  ]);
  assert.is(sameKey, key);
  assert.is(back, own);
  assert.is(executable, own + 9n);
});

test('never lets one path, mode, size and mtime stand for two contents, across builds, at once and in two processes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          content: fc.constantFrom('a', 'b', 'c', 'dd', 'ee'),
          mtime: fc.constantFrom(-1n, 0n, own),
          reopen: fc.boolean(),
        }),
        { maxLength: 30 },
      ),
      async (steps) => {
        await using directory = await temporaryDirectory();
        const meaning = new Map<string, string>();
        let store = new MtimeStore(directory.path);
        for (const { content, mtime, reopen } of steps) {
          if (reopen) store = new MtimeStore(directory.path);
          await using lease = await store.open('key');
          await using other = await store.open('key');
          await using elsewhere = await new MtimeStore(directory.path).open('key');
          assert.is(other.sharedKey, lease.sharedKey);
          const uses = [
            { user: lease, content },
            { user: elsewhere, content: content.toUpperCase() },
            { user: other, content },
          ];
          for (const { user, content: served } of uses) {
            const way = user.serve('f', fileOf(served, mtime));
            const told = `${user.sharedKey} ${served.length} ${user.ways.mtime(way)}`;
            assert.is(meaning.get(told) ?? served, served);
            meaning.set(told, served);
          }
          await Promise.all([other.flush(), elsewhere.flush()]);
        }
      },
    ),
    { numRuns: 40 },
  );
});

/** The one record in there. */
async function recordIn(directory: string): Promise<string> {
  const [name = ''] = await readdir(directory);
  return join(directory, name);
}

test('keeps its key and all that was told when it was killed at any point of the next write', async () => {
  await using directory = await temporaryDirectory();
  const [key, [, changed]] = await serve(directory.path, [fileOf('aaaa'), fileOf('bbbb')]);
  const path = await recordIn(directory.path);
  assert.is((await stat(path)).mode & 0o777, 0o600);
  const before = await readFile(path);
  await serve(directory.path, [fileOf('cccc'), fileOf('dddd')]);
  const after = await readFile(path);
  assert.equal(after.subarray(0, before.length), before);
  for (let length = before.length; length < after.length; length++) {
    await writeFile(path, after.subarray(0, length));
    const [tornKey, [told]] = await serve(directory.path, [fileOf('bbbb', own + 1n)]);
    assert.is(tornKey, key);
    assert.is(told, changed);
    assert.equal(await readFile(path), before);
  }
});

test('starts a new key when its record is lost or damaged', async () => {
  await using directory = await temporaryDirectory();
  const [key] = await serve(directory.path, [fileOf('aaaa'), fileOf('bbbb')]);
  const path = await recordIn(directory.path);
  const whole = await readFile(path);
  const damages: (() => Promise<void>)[] = [
    () => rm(path),
    () => writeFile(path, ''),
    () => writeFile(path, whole.subarray(0, 20)),
    () => writeFile(path, whole.subarray(10)),
    () => writeFile(path, Buffer.concat([whole, Buffer.alloc(100)])),
    () => truncate(path, 65 << 20),
    ...Array.from({ length: whole.length - 34 }, (_, index) => async () => {
      const flipped = Buffer.from(whole);
      flipped[34 + index]! ^= 1;
      await writeFile(path, flipped);
    }),
  ];
  const keys = new Set([key]);
  for (const damage of damages) {
    await damage();
    const [newKey, [fresh]] = await serve(directory.path, [fileOf('cccc')]);
    assert.not.ok(keys.has(newKey));
    keys.add(newKey);
    assert.is(fresh, own);
  }
});

test('starts a new key when what it told is mostly of the past, and never for the files of one build', async () => {
  await using directory = await temporaryDirectory();
  const build = async (files: number, content: string): Promise<string> => {
    await using lease = await new MtimeStore(directory.path, { ways: 50 }).open('key');
    for (let file = 0; file < files; file++) lease.serve(`context/${file}`, fileOf(content));
    await lease.flush();
    return lease.sharedKey;
  };
  const key = await build(200, 'aaaa');
  assert.is(await build(200, 'aaaa'), key, 'all of it is in use');
  assert.is(await build(200, 'bbbb'), key);
  assert.is(await build(200, 'cccc'), key, 'told under it before it was found too large');
  const second = await build(200, 'dddd');
  assert.is.not(second, key);
  assert.is(await build(200, 'dddd'), second);
});

test('grows no more when the same versions are built in turns', async () => {
  await using directory = await temporaryDirectory();
  const sizes: number[] = [];
  for (let round = 0; round < 80; round++) {
    await using lease = await new MtimeStore(directory.path).open('key');
    for (let file = 0; file < 1000; file++) {
      lease.serve(`context/${file}`, fileOf(round % 2 === 0 ? 'aaaa' : 'bbbb', own + BigInt(round % 2)));
    }
    await lease.flush();
    sizes.push((await stat(await recordIn(directory.path))).size);
  }
  assert.ok(Math.max(...sizes) < 25_000 * 60, String(Math.max(...sizes)));
  assert.is((await readdir(directory.path)).length, 1);
});

test('remembers 200,000 files with long paths', async () => {
  await using directory = await temporaryDirectory();
  const build = async (mtime: bigint): Promise<string> => {
    await using lease = await new MtimeStore(directory.path).open('key');
    const { digest } = fileOf('content');
    for (let file = 0; file < 200_000; file++) {
      const path = `context/${'long/'.repeat(80)}${file}`;
      const way = lease.serve(path, { mode: 0o644, size: file, digest, mtime });
      if (lease.ways.mtime(way) !== own || lease.ways.bytes(way) !== file) throw new Error(path);
    }
    await lease.flush();
    return lease.sharedKey;
  };
  assert.is(await build(own), await build(own + 1n));
});

test('a build that begins while an old record is dropped gets one that stays', async () => {
  await using directory = await temporaryDirectory();
  const contents = Array.from({ length: 20 }, (_, index) => fileOf(`content ${index}`));
  const [key] = await serve(directory.path, contents);
  const store = new MtimeStore(directory.path, { ways: 5 });
  const old = await store.open('key');
  const path = await recordIn(directory.path);
  const dropped = old[Symbol.asyncDispose]();
  await until(async () => (await stat(path).catch(() => undefined)) === undefined);
  const [lease] = await Promise.all([store.open('key'), dropped]);
  assert.is.not(lease.sharedKey, key);
  lease.serve('context/f', fileOf('new'));
  await lease.flush();
  await lease[Symbol.asyncDispose]();
  const [again] = await serve(directory.path, [fileOf('new')]);
  assert.is(again, lease.sharedKey);
});

test('of two processes at once each has a record of its own, and goes on with it when they meet again', async () => {
  await using directory = await temporaryDirectory();
  const build = async (content: string): Promise<{ keys: string[]; told: bigint[] }> => {
    await using left = await new MtimeStore(directory.path).open('key');
    await using right = await new MtimeStore(directory.path).open('key');
    const told = [left, right].map((lease) => lease.ways.mtime(lease.serve('context/f', fileOf(content))));
    await Promise.all([left.flush(), right.flush()]);
    return { keys: [left.sharedKey, right.sharedKey], told };
  };
  const { keys, told } = await build('aaaa');
  assert.is.not(keys[0], keys[1]);
  assert.equal(told, [own, own]);
  const changed = await build('bbbb');
  assert.equal(changed.keys, keys);
  assert.not.ok(changed.told.includes(own));
  assert.is((await serve(directory.path, [fileOf('bbbb')]))[0], keys[0]);
});

test('a record is left to other processes when the last build that uses it has ended', async () => {
  await using directory = await temporaryDirectory();
  const store = new MtimeStore(directory.path);
  const first = await store.open('key');
  const last = await store.open('key');
  await first[Symbol.asyncDispose]();
  assert.is.not((await serve(directory.path, []))[0], last.sharedKey);
  await last[Symbol.asyncDispose]();
  assert.is((await serve(directory.path, []))[0], last.sharedKey);
});

/** A process that has a record open, in which it told of this file. */
async function holder(directory: string, content: string): Promise<{ child: ChildProcess; key: string }> {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', 'test/support/mtime-holder.ts', directory, content, String(own)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const [key] = await once(createInterface({ input: child.stdout }), 'line');
  return { child, key: String(key) };
}

test('what a process has open nobody else uses or removes, until it closes it or was killed', async () => {
  await using directory = await temporaryDirectory();
  for (const end of ['close', 'kill'] as const) {
    const { child, key } = await holder(directory.path, 'aaaa');
    try {
      const [held = ''] = (await readdir(directory.path)).filter((name) => name.includes('.'));
      const before = await readFile(join(directory.path, held));
      assert.is.not((await serve(directory.path, [fileOf('bbbb')]))[0], key);
      assert.equal(await readFile(join(directory.path, held)), before);
      if (end === 'kill') child.kill('SIGKILL');
      else child.stdin?.end();
      await once(child, 'close');
    } finally {
      child.kill('SIGKILL');
    }
    const [taken, [same, other]] = await serve(directory.path, [fileOf('aaaa', own + 1n), fileOf('bbbb')]);
    assert.is(taken, key);
    assert.is(same, own, 'it told so');
    assert.is.not(other, own);
    assert.equal(
      (await readdir(directory.path)).filter((name) => name.includes('.')),
      [],
    );
    for (const name of await readdir(directory.path)) await rm(join(directory.path, name));
  }
});

test('keeps to its number of records without those that are open', async () => {
  await using directory = await temporaryDirectory();
  await using open = await new MtimeStore(directory.path).open('open');
  const store = new MtimeStore(directory.path);
  for (let index = 0; index < 260; index++) await (await store.open(`key ${index}`))[Symbol.asyncDispose]();
  assert.is((await readdir(directory.path)).filter((name) => !name.includes('.')).length, 256);
  const [held] = (await readdir(directory.path)).filter((name) => name.includes('.'));
  open.serve('f', fileOf('aaaa'));
  await open.flush();
  assert.ok((await stat(join(directory.path, held ?? ''))).size > 34);
});

test.run();

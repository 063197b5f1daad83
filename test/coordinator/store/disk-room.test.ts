/** A disk whose cache gives way before the store of builds must. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { availableOn } from '../../../coordinator/store/disk-full.ts';
import { DiskRoom, type Cache, type DiskRoomOptions } from '../../../coordinator/store/disk-room.ts';
import { Deferred } from '../../../shared/context/deferred.ts';
import { failureOf } from '../../support/failure.ts';
import { fillDisk, smallDisk } from '../../support/small-disk.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';

const mebibyte = 1024 * 1024;

interface Rig extends AsyncDisposable {
  readonly path: string;
  /** Times that the cache was asked. */
  asked(): number;
  readonly room: DiskRoom;
}

/** A full disk with a cache that has something to give up, or nothing. */
async function fullDisk(gives: boolean, options: DiskRoomOptions, elsewhere?: string): Promise<Rig> {
  const disk = await smallDisk(8 * mebibyte);
  const logs = join(disk.path, 'logs');
  await mkdir(logs);
  await fillDisk(disk.path, 0);
  let asked = 0;
  const cache: Cache = {
    path: elsewhere ?? disk.path,
    async makeRoom() {
      asked += 1;
      if (gives) await rm(join(disk.path, 'filler'), { force: true });
      return gives;
    },
  };
  const room = new DiskRoom(logs, cache, options);
  return {
    path: disk.path,
    asked: () => asked,
    room,
    async [Symbol.asyncDispose]() {
      room[Symbol.dispose]();
      await disk[Symbol.asyncDispose]();
    },
  };
}

test('room is made before anybody needs it, and nothing more than once', async () => {
  await using full = await fullDisk(true, { interval: 5 });
  await until(() => availableOn(full.path) > 4 * mebibyte);
  await full.room.require();
  assert.is(full.asked(), 1);
});

test('a cache that is giving up space is not asked again meanwhile', async () => {
  await using disk = await smallDisk(8 * mebibyte);
  await fillDisk(disk.path, 0);
  const given = new Deferred<boolean>();
  let asked = 0;
  const makeRoom = (): Promise<boolean> => {
    asked += 1;
    return given.promise;
  };
  using room = new DiskRoom(disk.path, { path: disk.path, makeRoom }, { interval: 1 });
  await until(() => asked > 0);
  const required = [room.require(), room.require()];
  let looks = 0;
  await until(() => ++looks > 10);
  assert.is(asked, 1);
  await rm(join(disk.path, 'filler'));
  given.resolve(true);
  await Promise.all(required);
});

test('a build waits for the room that there can be', async () => {
  await using full = await fullDisk(true, { interval: 1_000_000 });
  await full.room.require();
  assert.is(full.asked(), 1);
});

test('a build is refused where there is none, and a cache that has nothing is left alone for a while', async () => {
  await using full = await fullDisk(false, { interval: 1, pause: 1_000_000 });
  await until(() => full.asked() > 0);
  const error = await failureOf(full.room.require());
  assert.is(error.code, 'disk-full');
  assert.is(error.message, `no space left for builds in ${join(full.path, 'logs')}`);
  assert.is(full.asked(), 2);
});

test('a cache that gave nothing is asked again later', async () => {
  await using full = await fullDisk(false, { interval: 1, pause: 5 });
  await until(() => full.asked() > 2);
});

test('a cache on another disk keeps what it has', async () => {
  await using other = await temporaryDirectory();
  await using full = await fullDisk(true, { interval: 1 }, other.path);
  assert.is((await failureOf(full.room.require())).code, 'disk-full');
  assert.is(full.asked(), 0);
});

test.run();

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Disks } from '../../agent/disks.ts';
import { Connection } from '../../agent/engine/connection.ts';
import { Engine } from '../../agent/engine/engine.ts';
import { OwnImages } from '../../agent/own-images.ts';
import { Reclaim } from '../../agent/reclaim.ts';
import { busyboxBase } from '../../scripts/rig/base-image.ts';
import { startEngine } from '../../scripts/rig/engine.ts';
import { Deferred } from '../../shared/context/deferred.ts';
import type { Digest } from '../../shared/context/tree.ts';
import { silentLogger } from '../../shared/log.ts';
import { smallDisk } from '../support/small-disk.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { runBuild, type BuildRun } from './engine/build-rig.ts';
import { file } from './engine/memory-context.ts';

const MiB = 1024 ** 2;
const disk = await smallDisk(192 * MiB);
const root = disk.path;
const rig = await startEngine({ name: 'reclaim', data: root });
const data = await temporaryDirectory();
const engine = new Engine({ host: rig.host, environment: {}, dataDirectory: data.path });
const connection = new Connection({ host: rig.host, environment: {} });
const images = await OwnImages.open(join(data.path, 'images.ndjson'));
const reclaim = new Reclaim({ engine, images, keepCache: undefined, log: silentLogger });
const soon = AbortSignal.timeout(290_000);
const busybox = file(readFileSync(`${await busyboxBase()}/amd64/usr/bin/busybox`), { mode: 0o755 });

/** An image of so many bytes, which no other has. Each is sent, kept as sent, and kept as a layer. */
async function build(bytes: number, contextKey = 'test'): Promise<Digest> {
  const contents = { sh: busybox, large: file(randomBytes(bytes)) };
  const dockerfile = 'FROM scratch\nCOPY sh /bin/sh\nCOPY large /\n';
  const { image } = await runBuild(engine, { contents, dockerfile, task: { contextKey } });
  return image.imageId;
}

async function tag(image: Digest, reference: string): Promise<void> {
  await connection.ask(soon, (docker) => docker.getImage(image).tag({ repo: reference }));
}

/** As a job does: noted when it is built, named for its push. */
async function buildOf(reference: string, bytes = 8 * MiB, at = Date.now()): Promise<Digest> {
  const image = await build(bytes);
  await images.add(image, reference, at);
  await tag(image, reference);
  return image;
}

async function held(): Promise<Digest[]> {
  return (await engine.images(soon)).map(({ id }) => id);
}

async function free(): Promise<number> {
  const { bavail, bsize } = await statfs(root);
  return bavail * bsize;
}

const app = 'lab.example:5000/app-amd64:latest';
const other = 'lab.example:5000/other-amd64:1';

test('now and again images go that have lost their tag or are old, and no others', async () => {
  const replaced = await buildOf(app);
  const current = await buildOf(app);
  const old = await buildOf(other, MiB, Date.now() - 8 * 24 * 3_600_000);
  const foreign = await build(MiB);
  assert.ok((await held()).includes(replaced));
  assert.is(await reclaim.tidy(soon), true);
  assert.equal(new Set(await held()), new Set([current, foreign]));
  assert.equal(
    images.oldestFirst.map(({ id }) => id),
    [current],
    `${old} is remembered no more`,
  );
  assert.is(reclaim.reclaimed?.images, 2);
  assert.is(await reclaim.tidy(soon), false);
});

test('a disk that gets short has images and cache removed, and nothing that work or people use', async () => {
  const used = await buildOf('lab.example:5000/used-amd64:1');
  const container = await connection.ask(soon, (docker) =>
    docker.createContainer({ Image: used, Entrypoint: ['/bin/sh'] }),
  );
  const named = await buildOf('lab.example:5000/named-amd64:1');
  await tag(named, 'lab.example:5000/mine:kept');
  const spare = await buildOf(other);
  const worked = await buildOf('lab.example:5000/worked-amd64:1');
  using _held = images.hold('lab.example:5000/worked-amd64:2');

  // It has copied its files, and waits for a secret with the next step.
  const asked = new Deferred<void>();
  const given = new Deferred<void>();
  const running = runBuild(engine, {
    contents: { sh: busybox, large: file(randomBytes(16 * MiB)) },
    dockerfile:
      'FROM scratch\nCOPY sh /bin/busybox\nCOPY large /\nRUN --mount=type=secret,id=s ["/bin/busybox", "wc", "/large", "/run/secrets/s"]\n',
    task: { secrets: ['s'] },
    services: {
      async secret() {
        asked.resolve(undefined);
        await given.promise;
        return Buffer.from('secret');
      },
    },
  });
  await asked.promise;
  const before = await free();
  const watermark = { share: Infinity, bytes: before + 24 * MiB };
  const makeRoom = reclaim.makeRoom.bind(reclaim);
  const disks = new Disks({ watermark, paths: [], log: silentLogger, makeRoom });
  await disks.look(root, soon);
  assert.is(disks.lack, undefined, 'first room is made');
  await disks.settled();
  await disks.look(root, soon);
  assert.is(disks.lack, undefined);
  assert.ok((await free()) > watermark.bytes, `${await free()} free, ${before} before`);
  const left = await held();
  for (const image of [used, named, worked]) assert.ok(left.includes(image), `${image} was in use`);
  assert.not.ok(left.includes(spare));
  assert.ok((reclaim.reclaimed?.cacheBytes ?? 0) > 0);

  given.resolve(undefined);
  const { image }: BuildRun = await running;
  assert.ok((await held()).includes(image.imageId), 'what was building was not disturbed');
  await connection.ask(soon, () => container.remove({ force: true }));
});

test('what cannot be made room for is said, also that it was tried, until there is room', async () => {
  const watermark = { share: Infinity, bytes: 1024 * MiB };
  let left = 2 ** 40;
  const disks = new Disks({
    watermark,
    paths: [],
    log: silentLogger,
    makeRoom: async (missing) => {
      left = await missing();
      return reclaim.makeRoom(missing, soon);
    },
  });
  await disks.look(root, soon);
  await disks.settled();
  await disks.look(root, soon);
  assert.ok(left > 1024 * MiB && left < 1300 * MiB, `missing ${left}`);
  assert.match(disks.lack ?? '', /^disk: .* free at \/.*, less than 1\.1 GB, also after .* reclaimed$/);
  watermark.bytes = 0;
  await disks.look(root, soon);
  assert.is(disks.lack, undefined);
  await until(async () => (await engine.cacheBytes(soon)) < MiB, { what: 'the cache is all but gone' });
});

test('what is kept of the cache has a bound of its own', async () => {
  for (const key of ['one', 'two', 'three', 'four']) await build(4 * MiB, key);
  const before = await engine.cacheBytes(soon);
  const bounded = new Reclaim({ engine, images, keepCache: before / 2, log: silentLogger });
  await bounded.tidy(soon);
  const after = await engine.cacheBytes(soon);
  assert.ok(after <= before / 2 && after > 0, `${after} of ${before} bytes`);
});

test('a restarted agent still knows its images', async () => {
  const again = await OwnImages.open(join(data.path, 'images.ndjson'));
  assert.equal(again.oldestFirst, images.oldestFirst);
  assert.ok(again.oldestFirst.length > 0);
});

test('gives everything back', async () => {
  await rig[Symbol.asyncDispose]();
  await disk[Symbol.asyncDispose]();
  await data[Symbol.asyncDispose]();
});

test.run();

import { appendFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OwnImages } from '../../agent/own-images.ts';
import { smallDisk } from '../support/small-disk.ts';

function image(number: number): string {
  return `sha256:${String(number).repeat(64)}`;
}

async function known(path: string): Promise<string[]> {
  return (await OwnImages.open(path)).oldestFirst.map(({ id }) => id);
}

/** So that a line of less than a page is torn, as pages are what there is room for. */
async function fill(path: string): Promise<void> {
  while (
    await appendFile(path, Buffer.alloc(4096)).then(
      () => true,
      () => false,
    )
  );
}

test('an image that comes after one that found the disk full is known after a restart', async () => {
  await using disk = await smallDisk(64 * 1024);
  const path = join(disk.path, 'images.ndjson');
  const images = await OwnImages.open(path);
  await images.add(image(1), `registry.lab/onap/${'x'.repeat(100)}`, 1);
  await fill(join(disk.path, 'filler'));
  // As far as it fits into the last page.
  const long = `registry.lab/onap/${'y'.repeat(200)}`;
  const fits = (number: number): Promise<boolean> =>
    images.add(image(2), long, number).then(
      () => true,
      () => false,
    );
  for (let number = 0; await fits(number); number++);
  await rm(join(disk.path, 'filler'));
  await images.add(image(3), 'registry.lab/onap/app', 9);
  assert.ok((await known(path)).includes(image(3)));
  assert.is((await known(path)).at(-1), image(3));
});

test('images are forgotten on a full disk, too: what is to make room there must not end with that', async () => {
  await using disk = await smallDisk(64 * 1024);
  const path = join(disk.path, 'images.ndjson');
  const images = await OwnImages.open(path);
  await images.add(image(1), 'registry.lab/onap/one', 1);
  await images.add(image(2), 'registry.lab/onap/two', 2);
  await fill(join(disk.path, 'filler'));
  await images.forget(images.oldestFirst.slice(0, 1));
  assert.equal(
    images.oldestFirst.map(({ id }) => id),
    [image(2)],
  );
  // It comes back with a restart, and is not found on the engine again.
  assert.equal(await known(path), [image(1), image(2)]);
  await rm(join(disk.path, 'filler'));
  await images.forget([]);
  await images.add(image(3), 'registry.lab/onap/three', 3);
  assert.equal((await known(path)).slice(-2), [image(2), image(3)]);
});

test.run();

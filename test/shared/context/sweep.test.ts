import { randomBytes } from 'node:crypto';
import { readdir, rename, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { digestOf } from '../../../shared/context/encoding.ts';
import { packBytes, smallBytes } from '../../../shared/context/pack-format.ts';
import type { PackedItem } from '../../../shared/context/pack-index.ts';
import { Packs } from '../../../shared/context/packs.ts';
import { Recipes } from '../../../shared/context/recipes.ts';
import { StoreFiles } from '../../../shared/context/store-files.ts';
import { sweep } from '../../../shared/context/sweep.ts';
import { freeName, heldName, newHolder, stateOf } from '../../../shared/holder.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const hour = 3_600_000;
/** All goes that was not used in the last minute. */
const bounds = { maxBytes: 1, maxAge: 1000 * hour, recent: 60_000 };

/** Calls back when the packs of a sweep have been looked at, and none was removed. */
class PausingFiles extends StoreFiles {
  pause: () => Promise<void> = async () => {};

  override async *list(...kinds: Parameters<StoreFiles['list']>): ReturnType<StoreFiles['list']> {
    await this.pause();
    yield* super.list(...kinds);
  }
}

class Rig implements AsyncDisposable {
  readonly packs: Packs;
  readonly pinned = new Set<string>();
  readonly #directory: string;
  readonly #packs: string;
  readonly #opened: Packs[] = [];

  constructor(directory: string) {
    this.#directory = directory;
    this.#packs = join(directory, 'packs');
    this.packs = this.open();
  }

  open(): Packs {
    const packs = new Packs(this.#packs);
    this.#opened.push(packs);
    return packs;
  }

  /** What an earlier process has left in a pack of its own, this long ago. */
  async leave(age = hour): Promise<PackedItem> {
    await new StoreFiles(this.#directory).prepare();
    const packs = this.open();
    await packs.refresh();
    const item = await store(packs, 100);
    await packs.close();
    await this.age(age);
    await this.packs.refresh();
    return item;
  }

  async age(age: number): Promise<void> {
    const then = (Date.now() - age) / 1000;
    for (const pack of await this.entries()) await utimes(join(this.#packs, pack, 'data'), then, then);
  }

  entries(): Promise<string[]> {
    return readdir(this.#packs);
  }

  /** Makes the one pack that of another holder, of whom nothing can be known. */
  async giveAway(): Promise<void> {
    const [entry = ''] = await this.entries();
    const foreign = newHolder().replace(/^\w+/, 'abcdef012345');
    await rename(join(this.#packs, entry), join(this.#packs, heldName(freeName(entry), foreign)));
  }

  async sweep(pause?: () => Promise<void>): Promise<void> {
    const files = new PausingFiles(this.#directory);
    if (pause !== undefined) files.pause = pause;
    const recipes = new Recipes(new StoreFiles(this.#directory));
    await sweep({ files, packs: this.packs, recipes, pins: [{ digests: this.pinned }] }, bounds);
  }

  /** Whether a process that comes later finds them. */
  async areThere(items: readonly PackedItem[]): Promise<boolean> {
    const packs = this.open();
    await packs.refresh();
    const found = await Promise.all(items.map((item) => packs.read(item)));
    return found.every(
      (content, index) => content !== undefined && digestOf(content) === items[index]!.digest,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const packs of this.#opened) await packs.close();
  }
}

async function store(packs: Packs, size: number): Promise<PackedItem> {
  const content = randomBytes(size);
  const item = { kind: 'blob', digest: digestOf(content) } as const;
  await packs.append(item, content);
  return item;
}

/** So much that the next goes into another pack. */
async function fill(packs: Packs): Promise<PackedItem[]> {
  const items: PackedItem[] = [];
  for (let bytes = 0; bytes <= packBytes; bytes += smallBytes) items.push(await store(packs, smallBytes));
  return items;
}

test('removes a pack that nobody has used for long', async () => {
  await using directory = await temporaryDirectory();
  await using rig = new Rig(directory.path);
  await rig.leave();
  await rig.sweep();
  assert.equal(await rig.entries(), []);
});

test('keeps an old pack that this process goes on with, and fills, while it is sweeping', async () => {
  await using directory = await temporaryDirectory();
  await using rig = new Rig(directory.path);
  const items = [await rig.leave()];
  await rig.sweep(async () => {
    items.push(...(await fill(rig.packs)), await store(rig.packs, 100));
  });
  assert.is((await rig.entries()).filter((entry) => stateOf(entry) === 'free').length, 1);
  assert.ok(await rig.areThere(items));
});

test('keeps an old pack that another process goes on with', async () => {
  await using directory = await temporaryDirectory();
  for (const isClosed of [false, true]) {
    await using rig = new Rig(join(directory.path, String(isClosed)));
    const items = [await rig.leave()];
    const other = rig.open();
    await rig.sweep(async () => {
      items.push(await store(other, 100));
      if (isClosed) await other.close();
      // Nothing is known of what it has open but that it has.
      else await rig.age(hour);
    });
    items.push(await store(other, 100));
    await other.close();
    assert.is((await rig.entries()).length, 1);
    assert.ok(await rig.areThere(items));
  }
});

test('keeps an old pack that another process uses meanwhile', async () => {
  await using directory = await temporaryDirectory();
  await using rig = new Rig(directory.path);
  const item = await rig.leave();
  const other = rig.open();
  await other.refresh();
  await rig.sweep(async () => {
    other.use(item);
    await other.touchUsed();
  });
  assert.ok(await rig.areThere([item]));
});

test('keeps an old pack with a content that is pinned meanwhile', async () => {
  await using directory = await temporaryDirectory();
  await using rig = new Rig(directory.path);
  const item = await rig.leave();
  await rig.sweep(async () => void rig.pinned.add(item.digest));
  assert.ok(await rig.areThere([item]));
});

test('what is used after it was looked at, and before it is gone, stays', async () => {
  await using directory = await temporaryDirectory();
  await using rig = new Rig(directory.path);
  const item = await rig.leave();
  const [pack] = await rig.packs.usage();
  const removed = rig.packs.remove(pack!, () => false);
  assert.ok(rig.packs.use(item));
  assert.not(await removed);
  assert.ok(await rig.packs.read(item));
});

test('a pack of a process of which nothing can be known goes when it was not used for a day', async () => {
  await using directory = await temporaryDirectory();
  await using rig = new Rig(directory.path);
  const item = await rig.leave();
  await rig.giveAway();
  await rig.sweep();
  assert.ok(await rig.areThere([item]));
  await store(rig.packs, 100);
  assert.is((await rig.entries()).length, 2, 'nor does anybody go on with it');
  await rig.packs.refresh();
  await rig.age(25 * hour);
  await rig.sweep();
  assert.equal(await rig.entries(), []);
});

test.run();

import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PackIndex, type Location, type PackedItem } from '../../../shared/context/pack-index.ts';
import { Random } from '../../support/random.ts';

function nameOf({ kind, digest }: PackedItem): string {
  return `${kind}/${digest}`;
}

/** Some digests begin alike, so that they stand side by side in the table or wrap around its end. */
function someItems(random: Random): PackedItem[] {
  return Array.from({ length: 4000 }, () => {
    const digest = randomBytes(32);
    if (random.chance(0.3)) digest.writeUInt32LE(random.pick([0xffff_ffff, 0, 5]));
    return {
      kind: random.chance(0.5) ? 'blob' : 'directory',
      digest: `sha256:${digest.toString('hex')}`,
    };
  });
}

test('holds what a map would hold, whatever is done to it', () => {
  const random = new Random(11);
  const index = new PackIndex();
  const model = new Map<string, Location>();
  const items = someItems(random);
  const packs = Array.from({ length: 12 }, (_, number) => `pack-${number}`);
  for (let step = 0; step < 30_000; step++) {
    const item = random.pick(items);
    if (random.chance(0.6)) {
      const location = {
        pack: random.pick(packs),
        offset: random.pick([0, 0xffff_ffff, random.between(0, 0xffff_ffff)]),
        size: random.between(0, 65_537),
      };
      index.set(item, location);
      model.set(nameOf(item), location);
    } else if (random.chance(0.98)) {
      index.delete(item);
      model.delete(nameOf(item));
    } else {
      const pack = random.pick(packs);
      index.deletePack(pack);
      for (const [name, location] of model) if (location.pack === pack) model.delete(name);
    }
    assert.is(index.size, model.size);
  }
  assert.ok(model.size > 100);
  for (const item of items) {
    assert.equal(index.get(item), model.get(nameOf(item)));
    assert.is(index.has(item), model.has(nameOf(item)));
  }
});

test('a digest is found by its kind as well', () => {
  const index = new PackIndex();
  const digest = `sha256:${'ab'.repeat(32)}`;
  const location = { pack: 'p', offset: 1, size: 2 };
  index.set({ kind: 'directory', digest: Buffer.alloc(32, 0xab) }, location);
  assert.equal(index.get({ kind: 'directory', digest }), location);
  assert.not(index.has({ kind: 'blob', digest }));
});

test('a name of a pack that was deleted can come again', () => {
  const index = new PackIndex();
  const item = { kind: 'blob', digest: `sha256:${'cd'.repeat(32)}` } as const;
  for (const offset of [1, 2]) {
    index.set(item, { pack: 'p', offset, size: 0 });
    assert.is(index.get(item)?.offset, offset);
    index.deletePack('p');
    assert.not(index.has(item));
  }
});

test('takes about 50 bytes an item', () => {
  const before = process.memoryUsage().arrayBuffers;
  const index = new PackIndex();
  const digests = randomBytes(32 * 200_000);
  const own = process.memoryUsage().arrayBuffers - before;
  for (let at = 0; at < digests.length; at += 32) {
    index.set({ kind: 'blob', digest: digests.subarray(at, at + 32) }, { pack: 'p', offset: at, size: 1 });
  }
  // The tables that it outgrew may not have been collected yet.
  const each = (process.memoryUsage().arrayBuffers - before - own) / 200_000;
  assert.ok(each < 62, `${each.toFixed(1)} bytes an item`);
  assert.is(index.size, 200_000);
});

test.run();

import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeRecipe, maxChunkBytes } from '../../../shared/context/chunks.ts';
import { fetchTree } from '../../../shared/context/fetch-tree.ts';
import { defaultLimits } from '../../../shared/context/limits.ts';
import { contextServer, dialContexts } from '../../support/context-server.ts';
import {
  collect,
  dir,
  memoryTree,
  recipeOf,
  type Branch,
  type MemoryTree,
} from '../../support/memory-tree.ts';
import { Random } from '../../support/random.ts';
import { attached, receiving, type Receiving } from '../../support/receiving.ts';
import { slowLink, type SlowLink } from '../../support/slow-link.ts';

const seed = Number(process.env['ARCHFARM_TEST_SEED'] ?? Date.now() % 2 ** 31);
const cuts = process.env['ARCHFARM_TEST_FULL'] === '1' ? 200 : 60;
const cutsARound = 5;

/** Small ones, large ones, and one that travels in chunks. */
function someTree(random: Random): MemoryTree {
  const files = Array.from({ length: 60 }, (_, index): [string, Branch] => [
    `${index}`,
    randomBytes(random.between(1, 60_000)),
  ]);
  return memoryTree(
    dir(
      ['few', dir(...files)],
      ['large', randomBytes(random.between(65_537, 3_000_000))],
      ['chunked', randomBytes(random.between(8_400_000, 9_000_000))],
    ),
  );
}

/** All that has to be sent for it, once. */
function bytesOf({ records, blobs, allTimes }: MemoryTree): number {
  const recipes = [...blobs.values()]
    .filter(({ length }) => length > 8 * 1024 * 1024)
    .map((content) => encodeRecipe(recipeOf(content)));
  return [...records.values(), ...allTimes.values(), ...blobs.values(), ...recipes].reduce(
    (sum, { length }) => sum + length,
    0,
  );
}

/** Dials again whenever it was cut, until the work is done. */
async function keepAttached(here: Receiving, link: SlowLink, work: Promise<unknown>): Promise<void> {
  const done = work.then(
    () => true,
    () => true,
  );
  while (!(await Promise.race([done, Promise.resolve(false)]))) {
    const socket = await dialContexts(link.address).catch(() => undefined);
    if (socket === undefined) continue;
    await using attachment = attached(here, socket);
    await Promise.race([done, attachment.ended]);
  }
}

async function fetchAll({ receiver, signal }: Receiving, tree: MemoryTree): Promise<void> {
  await fetchTree(tree, receiver, { limits: defaultLimits, signal });
  await Promise.all(
    [...tree.blobs].map(async ([digest, content]) => {
      const received = await collect(await receiver.blob(digest, content.length, signal));
      assert.ok(received.equals(content), `${content.length} bytes of ${digest}`);
    }),
  );
}

test(`transfers that are cut at ${cuts} offsets on their two hops send nothing twice that had come`, async () => {
  const random = new Random(seed);
  let left = cuts;
  for (let round = 0; left > 0; round++) {
    const tree = someTree(random);
    const total = bytesOf(tree);
    await using client = await contextServer(tree);
    await using up = await slowLink(client.address);
    await using coordinator = await receiving();
    await using server = await contextServer(coordinator.receiver);
    await using down = await slowLink(server.address);
    await using agent = await receiving();
    const hops = [up, down] as const;
    const work = fetchAll(agent, tree);
    const attachments = [keepAttached(coordinator, up, work), keepAttached(agent, down, work)];
    let made = 0;
    for (; made < Math.min(cutsARound, left); made++) {
      const link = random.pick(hops);
      const at = random.between(1, total / cutsARound);
      const before = link.sent + link.received;
      link.cutAfter(at);
      const cut = link.passed(before + at).then(() => true);
      // The last ones may come after the end.
      if (!(await Promise.race([cut, work.then(() => false)]))) break;
    }
    left -= made;
    await work;
    await Promise.all(attachments);
    for (const [hop, { receiver }] of [coordinator, agent].entries()) {
      assert.is(receiver.receivedBytes, total, `hop ${hop}, round ${round}`);
      const carried = hops[hop === 0 ? 0 : 1].received;
      const most = total * 1.05 + 200_000 + (made + 1) * (maxChunkBytes + 1024 * 1024);
      assert.ok(carried < most, `${carried} bytes went over hop ${hop} for ${total}`);
    }
  }
});

console.log(`seed ${seed}`);
test.run();

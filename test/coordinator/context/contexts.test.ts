import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Contexts } from '../../../coordinator/context/contexts.ts';
import { defaultLimits, type ContextLimits } from '../../../shared/context/limits.ts';
import { BlobStore } from '../../../shared/context/store.ts';
import { silentLogger } from '../../../shared/log.ts';
import { failureOf } from '../../support/failure.ts';
import { dir, memoryTree } from '../../support/memory-tree.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const signal = AbortSignal.timeout(300_000);

test("a context above the coordinator's limits is refused, with where to raise them", async () => {
  await using directory = await temporaryDirectory();
  await using store = await BlobStore.open(directory.path);
  const tree = memoryTree(dir(['a', 'one'], ['sub', dir(['b', 'two'])]));
  for (const [entries, isRefused] of [
    [2, true],
    [3, false],
  ] as const) {
    const contexts = contextsOf(store, { ...defaultLimits, entries });
    try {
      await contexts.add([...tree.records.values(), ...tree.allTimes.values()]);
      const preparing = contexts.prepare({ trees: [tree], client: 'ann@host' }, signal);
      if (!isRefused) {
        assert.is((await preparing).trees[0]?.entries, 3);
        continue;
      }
      const error = await failureOf(preparing);
      assert.is(error.code, 'context-limit');
      assert.match(
        error.message,
        /^the context has 3 files, directories and links, more than the limit of 2$/,
      );
      assert.match(error.hint ?? '', /archfarm serve --context-limit entries=4$/);
    } finally {
      await contexts.close();
    }
  }
});

function contextsOf(store: BlobStore, limits: ContextLimits = defaultLimits): Contexts {
  const waits = { returnWithin: 1000, patience: 1000 };
  return new Contexts({ store, limits, log: silentLogger, ...waits, openTasks: () => [] });
}

test('a build that ends while its context is restored is not kept', async () => {
  await using directory = await temporaryDirectory();
  await using store = await BlobStore.open(directory.path);
  const tree = memoryTree(dir(['a', 'one']));
  const contexts = contextsOf(store);
  try {
    await contexts.add([...tree.records.values(), ...tree.allTimes.values()]);
    const open = new Set(['ends', 'goes on']);
    const restored = [...open].map((build) =>
      contexts.restore(build, { trees: [tree], client: 'ann@host', isOpen: () => open.has(build) }),
    );
    open.delete('ends');
    contexts.release('ends');
    await Promise.all(restored);
    assert.is(await contexts.missing('ends', signal), undefined);
    assert.is.not(await contexts.missing('goes on', signal), undefined);
  } finally {
    await contexts.close();
  }
});

test.run();

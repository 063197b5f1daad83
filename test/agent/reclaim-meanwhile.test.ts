import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine } from '../../agent/engine/engine.ts';
import { OwnImages } from '../../agent/own-images.ts';
import { Reclaim } from '../../agent/reclaim.ts';
import type { Digest } from '../../shared/context/tree.ts';
import { silentLogger } from '../../shared/log.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { refusal, startFakeEngine, type Answer, type FakeEngine } from './engine/fake-engine.ts';

const [first, second, third]: readonly [Digest, Digest, Digest] = [idOf('1'), idOf('2'), idOf('3')];
const other = 'lab.example:5000/other-amd64:latest';
const app = 'lab.example:5000/app-amd64:latest';
const soon = AbortSignal.timeout(20_000);

function idOf(digit: string): Digest {
  return `sha256:${digit.repeat(64)}`;
}

interface Store {
  readonly images: Set<Digest>;
  readonly tags: Map<string, Digest>;
  /** Takes place while the engine removes the image of `other`. */
  meanwhile: () => Promise<void>;
}

/** An engine of nothing but images. */
function startStore(store: Store): Promise<FakeEngine> {
  const { images, tags } = store;
  const described = (id: Digest): object => ({
    Id: id,
    RepoTags: [...tags].filter(([, tagged]) => tagged === id).map(([tag]) => tag),
    RepoDigests: [],
  });
  const inspect = (id: Digest): Answer =>
    images.has(id) ? JSON.stringify(described(id)) : refusal('no such image', 404);
  const removeById = (id: Digest): Answer => {
    if ([...tags.values()].includes(id)) return refusal('must be forced', 409);
    return images.delete(id) ? '[]' : refusal('no such image', 404);
  };
  const remove = (tag: string): Answer => {
    const id = tags.get(tag);
    tags.delete(tag);
    if (id !== undefined && ![...tags.values()].includes(id)) images.delete(id);
    return '[]';
  };
  return startFakeEngine({
    'GET /images/json': () => JSON.stringify([...images].map(described)),
    ...Object.fromEntries(
      [first, second, third].flatMap((id) => [
        [`GET /images/${id}/json`, () => inspect(id)],
        [`DELETE /images/${id}`, () => removeById(id)],
      ]),
    ),
    [`DELETE /images/${app}`]: () => remove(app),
    async [`DELETE /images/${other}`]() {
      await store.meanwhile();
      return remove(other);
    },
  });
}

interface Tidied {
  readonly images: OwnImages;
  readonly store: Store;
}

/** Tidies an engine that has `other` of the first image and `app` of the second, all of them to go. */
async function tidied(
  meanwhile: (all: Tidied) => Promise<void>,
  check: (all: Tidied) => void,
): Promise<void> {
  await using data = await temporaryDirectory();
  const images = await OwnImages.open(join(data.path, 'images.ndjson'));
  const store: Store = {
    images: new Set([first, second]),
    tags: new Map([
      [other, first],
      [app, second],
    ]),
    meanwhile: () => meanwhile({ images, store }),
  };
  await images.add(first, other, 1);
  await images.add(second, app, 2);
  await using fake = await startStore(store);
  const engine = new Engine({ host: fake.host, environment: {}, dataDirectory: data.path });
  await new Reclaim({ engine, images, keepCache: undefined, log: silentLogger }).tidy(soon);
  check({ images, store });
}

test('an image whose tag a build takes while others are removed goes without that tag', () =>
  tidied(
    async ({ images, store }) => {
      using _held = images.hold(app);
      store.images.add(third);
      await images.add(third, app, Date.now());
      store.tags.set(app, third);
    },
    ({ images, store }) => {
      assert.is(store.tags.get(app), third);
      assert.equal([...store.images], [third]);
      assert.equal(
        images.oldestFirst.map(({ id }) => id),
        [third],
      );
    },
  ));

test('an image that is built again while others are removed is kept, and known', () =>
  tidied(
    ({ images }) => images.add(second, app, Date.now()),
    ({ images, store }) => {
      assert.equal([...store.images], [second]);
      assert.equal(
        images.oldestFirst.map(({ id }) => id),
        [second],
      );
    },
  ));

test.run();

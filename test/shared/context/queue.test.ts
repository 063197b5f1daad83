import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Queue, type Queued } from '../../../shared/context/queue.ts';
import { Random } from '../../support/random.ts';

class Item implements Queued<Item> {
  queue: Queue<Item> | undefined;
  before: Item | undefined;
  after: Item | undefined;
  readonly id: number;
  constructor(id: number) {
    this.id = id;
  }
}

test('keeps its order whatever enters and leaves, like an array', () => {
  const seed = Date.now() % 2 ** 31;
  console.log(`seed ${seed}`);
  const random = new Random(seed);
  const items = Array.from({ length: 40 }, (_, id) => new Item(id));
  const queues = [new Queue<Item>(), new Queue<Item>()] as const;
  const models: Item[][] = [[], []];
  for (let step = 0; step < 5000; step++) {
    const item = random.pick(items);
    const target = random.between(0, 2);
    const action = random.between(0, 3);
    const wasQueued = item.queue !== undefined;
    for (const [index, model] of models.entries()) models[index] = model.filter((other) => other !== item);
    if (action === 0) {
      if (wasQueued) item.queue?.remove(item);
    } else if (action === 1) {
      queues[target === 0 ? 0 : 1].push(item);
      models[target]?.push(item);
    } else {
      queues[target === 0 ? 0 : 1].unshift(item);
      models[target]?.unshift(item);
    }
    for (const [index, queue] of queues.entries()) {
      const order: number[] = [];
      for (let next = queue.first; next !== undefined; next = next.after) order.push(next.id);
      assert.equal(
        order,
        models[index]?.map(({ id }) => id),
      );
    }
  }
});

test.run();

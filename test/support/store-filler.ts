/** Stores contents of all sizes in a directory, and says of each when it is stored, until it is killed. */
import { randomBytes } from 'node:crypto';
import { chunkedBytes } from '../../shared/context/chunks.ts';
import { BlobStore } from '../../shared/context/store.ts';
import { storeContent } from './stored-content.ts';

const store = await BlobStore.open(process.argv[2] ?? '');

function size(): number {
  const kind = Math.random();
  if (kind < 0.75) return 1 + Math.random() * 3000;
  return kind < 0.985 ? 200_000 : chunkedBytes + 100_000;
}

async function fill(): Promise<never> {
  for (;;) {
    const content = randomBytes(size());
    const digest = await storeContent(store, content);
    process.stdout.write(`${digest} ${content.length};\n`);
  }
}

await Promise.all([fill(), fill(), fill()]);

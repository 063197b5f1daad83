/** Stores contents of all sizes in a directory, and says of each when it is stored, until it is killed. */
import { randomBytes } from 'node:crypto';
import { digestOf } from '../../shared/context/encoding.ts';
import { BlobStore, smallBytes } from '../../shared/context/store.ts';

const store = await BlobStore.open(process.argv[2] ?? '');

async function fill(): Promise<never> {
  for (;;) {
    const content = randomBytes(Math.random() < 0.8 ? 1 + Math.random() * 3000 : 200_000);
    const digest = digestOf(content);
    if (content.length <= smallBytes) {
      await store.put({ kind: 'blob', digest }, content);
    } else {
      const writer = await store.write({ digest, size: content.length });
      await writer.write(content);
      await writer.finish();
    }
    process.stdout.write(`${digest} ${content.length};\n`);
  }
}

await Promise.all([fill(), fill(), fill()]);

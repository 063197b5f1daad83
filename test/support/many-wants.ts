/**
 * Wants so many contents of nobody and then hurries half of them. Prints the bytes that each takes while it waits, and
 * the milliseconds that the hurry took.
 */
import { digestOf } from '../../shared/context/encoding.ts';
import { BlobReceiver } from '../../shared/context/receiver.ts';
import { BlobStore } from '../../shared/context/store.ts';
import { ArchfarmError } from '../../shared/errors.ts';

const [directory = '', count = '0'] = process.argv.slice(2);
const store = await BlobStore.open(directory);
const receiver = new BlobReceiver({ store });
const { signal } = new AbortController();
const digests = Array.from({ length: Number(count) }, (_, index) => digestOf(Buffer.from(String(index))));

globalThis.gc?.();
const before = process.memoryUsage().heapUsed;
const wanted = digests.map((digest) => receiver.prefetch(digest, 1, signal));
await new Promise((resolve) => setImmediate(resolve));
globalThis.gc?.();
const bytes = (process.memoryUsage().heapUsed - before) / digests.length;

const started = performance.now();
const hurried = digests
  .filter((_, index) => index % 2 === 1)
  .map((digest) => receiver.blob(digest, 1, signal));
const ended = Promise.allSettled([...wanted, ...hurried]);
await new Promise((resolve) => setImmediate(resolve));
const hurry = performance.now() - started;

await receiver.end(new ArchfarmError('client-gone', 'nobody is there'));
const failed = (await ended).filter(({ status }) => status === 'rejected').length;
await store[Symbol.asyncDispose]();
process.stdout.write(JSON.stringify({ bytes, hurry, failed }));

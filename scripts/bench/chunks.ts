/**
 * How fast large contents are cut into chunks, each with its sha256, against sha256 alone; and how many bytes an edit
 * makes new. Everything is in memory and in one thread.
 */
import { createCipheriv, createHash, randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Chunker } from '../../shared/context/chunker.ts';
import { encodeRecipe, type Recipe } from '../../shared/context/chunks.ts';
import { median } from './figures.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '5' }, megabytes: { type: 'string', default: '500' } },
});
const runs = Number(values.runs);
const size = Number(values.megabytes) * 1_000_000;
/** As files are read. */
const pieceBytes = 128 * 1024;
const editBytes = 4096;

/** The same bytes at every run, without any pattern. */
function bytes(seed: number, length: number): Buffer {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16)).update(Buffer.alloc(length));
}

function feed(parts: readonly Buffer[], take: (piece: Buffer) => void): void {
  for (const part of parts) {
    for (let at = 0; at < part.length; at += pieceBytes) take(part.subarray(at, at + pieceBytes));
  }
}

function cut(...parts: readonly Buffer[]): Recipe {
  const chunker = new Chunker();
  feed(parts, (piece) => chunker.push(piece));
  return chunker.finish();
}

function megabytesPerSecond(work: () => void): number {
  const start = process.hrtime.bigint();
  work();
  return (size * 1000) / Number(process.hrtime.bigint() - start);
}

function report(figure: string, values: readonly number[], unit: string): void {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  console.log(
    JSON.stringify({
      bench: 'chunks',
      figure,
      median: median(values),
      least,
      most,
      runs: values.length,
      unit,
    }),
  );
}

const content = bytes(1, size);
const known = cut(content);
const digests = new Set(known.map((chunk) => chunk.digest));

const speeds = { chunks: [] as number[], sha256: [] as number[] };
for (let run = 0; run < runs; run++) {
  speeds.chunks.push(megabytesPerSecond(() => void cut(content)));
  const hash = createHash('sha256');
  speeds.sha256.push(megabytesPerSecond(() => feed([content], (piece) => hash.update(piece))));
}
report('cut, with sha256', speeds.chunks, 'MB/s');
report('sha256 alone', speeds.sha256, 'MB/s');

for (const [figure, removed] of [
  ['4 KiB overwritten', editBytes],
  ['4 KiB inserted', 0],
] as const) {
  const sent: number[] = [];
  for (let run = 0; run < runs; run++) {
    const at = randomInt(size - editBytes);
    const edit = bytes(run + 2, editBytes);
    const recipe = cut(content.subarray(0, at), edit, content.subarray(at + removed));
    const added = recipe.filter((chunk) => !digests.has(chunk.digest));
    sent.push(added.reduce((sum, chunk) => sum + chunk.size, 0) + encodeRecipe(recipe).length);
  }
  report(`${figure}: new chunks and recipe`, sent, 'bytes');
}
report(
  'chunk',
  known.slice(0, -1).map((chunk) => chunk.size),
  'bytes',
);
report('recipe', [encodeRecipe(known).length], 'bytes');

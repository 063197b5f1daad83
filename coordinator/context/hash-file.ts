/** Digests of files, and the recipes of large ones, in one pass over their bytes. */
import { createHash, hash } from 'node:crypto';
import { Chunker } from '../../shared/context/chunker.ts';
import { chunkedBytes, encodeRecipe } from '../../shared/context/chunks.ts';
import type { Digest } from '../../shared/context/tree.ts';
import { readDirectly, readPart, readPieces, smallFileBytes, type ContextFile } from './context-file.ts';
import type { Pace } from './pace.ts';

export interface Hashed {
  readonly digest: Digest;
  /** The record of its recipe, where it is large enough to have one. */
  readonly recipe?: Buffer | undefined;
}

/** Milliseconds a byte to be hashed: no sign of a slow disk. */
const hashingMilliseconds = 1e-6;
const scratch = Buffer.allocUnsafeSlow(smallFileBytes);

/** Of a small file. Throws as `readDirectly`, and so do the others. */
export function hashDirectly(file: ContextFile, pace: Pace): Digest {
  const started = performance.now();
  const digest = digestOf(readDirectly(file, scratch.subarray(0, file.size)));
  pace.made(1, performance.now() - started - file.size * hashingMilliseconds);
  return digest;
}

export async function hashFile(file: ContextFile, signal: AbortSignal): Promise<Hashed> {
  if (file.size <= smallFileBytes)
    return { digest: digestOf(await readPart(file, Buffer.allocUnsafe(file.size))) };
  const whole = createHash('sha256');
  const chunker = file.size > chunkedBytes ? new Chunker() : undefined;
  for await (const piece of readPieces(file, signal)) {
    whole.update(piece);
    chunker?.push(piece);
  }
  return {
    digest: `sha256:${whole.digest('hex')}`,
    recipe: chunker === undefined ? undefined : encodeRecipe(chunker.finish()),
  };
}

function digestOf(content: Buffer): Digest {
  return `sha256:${hash('sha256', content, 'hex')}`;
}

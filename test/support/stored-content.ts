/** Puts contents into a store the way a receiver does, and takes them out again. */
import { chunkedBytes } from '../../shared/context/chunks.ts';
import { digestOf } from '../../shared/context/encoding.ts';
import { smallBytes, type BlobStore } from '../../shared/context/store.ts';
import type { Digest } from '../../shared/context/tree.ts';
import { collect, inChunks, recipeOf } from './memory-tree.ts';

/** Resolves with its digest. */
export async function storeContent(store: BlobStore, content: Buffer): Promise<Digest> {
  const digest = digestOf(content);
  if (content.length <= smallBytes) {
    await store.put({ kind: 'blob', digest }, content);
  } else if (content.length <= chunkedBytes) {
    const writer = await store.write({ digest, size: content.length });
    try {
      for await (const chunk of inChunks(content)) await writer.write(chunk);
      await writer.finish();
    } catch (error) {
      await writer.fail(error);
      throw error;
    }
  } else {
    const recipe = recipeOf(content);
    let at = 0;
    for (const chunk of recipe) {
      await store.put({ kind: 'blob', digest: chunk.digest }, content.subarray(at, (at += chunk.size)));
    }
    await store.putRecipe({ digest, size: content.length }, recipe);
  }
  return digest;
}

/** Undefined when the store lacks it. */
export async function storedContent(
  store: BlobStore,
  content: { readonly digest: Digest; readonly size: number },
): Promise<Buffer | undefined> {
  const chunks = await store.blob(content.digest, content.size);
  return chunks === undefined ? undefined : collect(chunks);
}

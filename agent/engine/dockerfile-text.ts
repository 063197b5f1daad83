/** The text of a task's Dockerfile. */
import { buffer } from 'node:stream/consumers';
import { findEntry } from '../../shared/context/lookup.ts';
import type { ContextSource } from '../../shared/context/tree.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import type { Task } from '../../shared/task.ts';

/** Throws `context-invalid` where the tree has none of that name. */
export async function readDockerfile(
  source: ContextSource,
  { root, name, signal }: Task['dockerfile'] & { readonly signal: AbortSignal },
): Promise<string> {
  const entry = await findEntry({ root, source, signal }, name);
  if (entry?.type !== 'file')
    throw new ArchfarmError('context-invalid', `the tree has no Dockerfile ${name}`);
  return (await buffer(await source.blob(entry.digest, entry.size, signal))).toString('utf8');
}

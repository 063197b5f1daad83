/** Where a user's caches lie: `$XDG_CACHE_HOME/archfarm`, shared by all runs of that user. */
import { access, constants, mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../shared/errors.ts';
import type { Environment } from './project/interpolate.ts';

export function cacheDirectory(environment: Environment): string {
  return join(environment['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'archfarm');
}

/** Why contexts cannot be kept there; undefined where they can. */
export async function cacheProblem(directory: string): Promise<string | undefined> {
  const contexts = join(directory, 'contexts');
  try {
    await mkdir(contexts, { recursive: true, mode: 0o700 });
    for (const each of [directory, contexts])
      await access(each, constants.R_OK | constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

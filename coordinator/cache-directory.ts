/** Where a user's caches lie: `$XDG_CACHE_HOME/archfarm`, shared by all runs of that user. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Environment } from './project/interpolate.ts';

export function cacheDirectory(environment: Environment): string {
  return join(environment['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'archfarm');
}

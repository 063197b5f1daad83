/** Version of this archfarm: put in by the bundler, read from package.json where the sources run. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';

declare const ARCHFARM_VERSION: string | undefined;

export const version = typeof ARCHFARM_VERSION === 'string' ? ARCHFARM_VERSION : fromPackage();

function fromPackage(): string {
  const text = readFileSync(join(import.meta.dirname, '../package.json'), 'utf8');
  return v.parse(v.object({ version: v.string() }), JSON.parse(text)).version;
}

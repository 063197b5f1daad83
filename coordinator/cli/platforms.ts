/** `archfarm platforms`: the platforms that a reference offers. */
import { listPlatforms } from '../manifest/inspect.ts';
import { Registries } from '../registry/registries.ts';
import type { GlobalOptions } from './global-options.ts';
import { print, printJson } from './output.ts';
import { plainText } from './progress/sanitize.ts';

export interface PlatformsOptions {
  /** Hosts to speak plain http to. */
  readonly insecureRegistry: readonly string[];
  readonly global: GlobalOptions;
}

export async function runPlatforms(reference: string, options: PlatformsOptions): Promise<void> {
  const { insecureRegistry, global } = options;
  await using registries = new Registries({ insecure: insecureRegistry });
  const platforms = await listPlatforms(reference, registries, global.signal);
  if (global.json) return printJson(platforms);
  for (const platform of platforms) print(plainText(platform));
}

/** `archfarm inspect`: what a reference holds, for people, or in the shapes of `docker manifest inspect`. */
import { describeReference } from '../manifest/describe.ts';
import { inspectReference } from '../manifest/inspect.ts';
import { Registries } from '../registry/registries.ts';
import type { GlobalOptions } from './global-options.ts';
import { print } from './output.ts';
import { plainText } from './progress/sanitize.ts';
import { registriesOptions, type RegistryFlags } from './registry-options.ts';

export interface InspectOptions {
  readonly verbose: boolean;
  /** The bytes that the registry has. */
  readonly raw: boolean;
  readonly registry: RegistryFlags;
  readonly global: GlobalOptions;
}

export async function runInspect(reference: string, options: InspectOptions): Promise<void> {
  const { verbose, raw, registry, global } = options;
  await using registries = new Registries(registriesOptions(registry));
  if (verbose || raw || global.json) {
    const shape = { verbose, raw };
    process.stdout.write(await inspectReference(reference, shape, registries, global.signal));
    return;
  }
  for (const line of await describeReference(reference, registries, global.signal)) print(plainText(line));
}

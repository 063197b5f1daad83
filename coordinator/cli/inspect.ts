/** `archfarm inspect`: the shape of `docker manifest inspect`. */
import { inspectReference } from '../manifest/inspect.ts';
import { Registries } from '../registry/registries.ts';
import type { GlobalOptions } from './global-options.ts';

export interface InspectOptions {
  readonly verbose: boolean;
  /** The bytes that the registry has. */
  readonly raw: boolean;
  /** Hosts to speak plain http to. */
  readonly insecureRegistry: readonly string[];
  readonly global: GlobalOptions;
}

export async function runInspect(reference: string, options: InspectOptions): Promise<void> {
  const { verbose, raw, insecureRegistry, global } = options;
  await using registries = new Registries({ insecure: insecureRegistry });
  process.stdout.write(await inspectReference(reference, { verbose, raw }, registries, global.signal));
}

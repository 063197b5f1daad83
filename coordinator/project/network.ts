/** The network of RUN steps, as far as the engine's BuildKit has any choice. */
import { uppermost, type Layer } from './layers.ts';

export const networkModes = ['default', 'host', 'none'] as const;

/** Of the key `network`; throws `config` for networks of containers, which build steps cannot be in. */
export function networkAt(layers: readonly Layer[]): string | undefined {
  const value = uppermost(layers, 'network')?.value;
  const mode = value?.optionalText();
  if (mode === undefined || networkModes.some((known) => known === mode)) return mode;
  throw value!.error(`build steps cannot be in the network ${mode}`, `one of ${networkModes.join(', ')}`);
}

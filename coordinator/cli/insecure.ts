/** `--insecure`, as docker and manifest-tool have it: about the registries that the command's references name. */
import { parseReference } from '../../shared/reference.ts';
import { Registries } from '../registry/registries.ts';
import { registriesOptions, type RegistryFlags } from './registry-options.ts';

export interface InsecureFlags extends RegistryFlags {
  readonly insecure?: boolean | undefined;
}

export function registriesFor(references: readonly string[], flags: InsecureFlags): Registries {
  const options = registriesOptions(flags);
  if (flags.insecure !== true) return new Registries(options);
  const hosts = references.map((reference) => parseReference(reference).registry);
  return new Registries({ ...options, insecure: [...(options.insecure ?? []), ...hosts] });
}

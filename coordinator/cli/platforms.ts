/** `archfarm platforms`: what a reference offers, and what a client of some platform would get of it. */
import { parsePlatform } from '../../shared/platform.ts';
import { formatOffered, imageFor, listPlatforms } from '../manifest/platforms.ts';
import { Registries } from '../registry/registries.ts';
import type { GlobalOptions } from './global-options.ts';
import { print, printJson } from './output.ts';
import { plainText } from './progress/sanitize.ts';
import { registriesOptions, type RegistryFlags } from './registry-options.ts';

export interface PlatformsOptions {
  /** The platform of a client: only the image that it would get. */
  readonly for?: string | undefined;
  readonly registry: RegistryFlags;
  readonly global: GlobalOptions;
}

export async function runPlatforms(reference: string, options: PlatformsOptions): Promise<void> {
  const { registry, global } = options;
  const wanted = options.for === undefined ? undefined : parsePlatform(options.for);
  await using registries = new Registries(registriesOptions(registry));
  const offered = await listPlatforms(reference, registries, global.signal);
  if (wanted !== undefined) {
    const image = imageFor(wanted, { offered, reference });
    if (global.json) return printJson(image);
    return print(`${plainText(formatOffered(image))} ${image.digest}`);
  }
  const lines = offered.map(formatOffered);
  if (global.json) return printJson(lines);
  for (const line of lines) print(plainText(line));
}

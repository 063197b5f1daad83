/** The images of `push from-args`: one name for all platforms, with placeholders, as manifest-tool has them. */
import { ArchfarmError } from '../../shared/errors.ts';
import { checkPlatform } from '../../shared/platform.ts';
import { withVariant } from './given-platform.ts';
import type { Source } from './sources.ts';

/**
 * `OS`, `ARCH` and `VARIANT` stand for the fields of each platform, and are written as those are. Throws `usage` for what
 * is no platform.
 */
export function sourcesOf(template: string, platforms: readonly string[]): Source[] {
  if (platforms.length === 0) throw new ArchfarmError('usage', 'no platforms are given');
  return platforms.map((text) => {
    const parts = text.split('/');
    const [os = '', architecture = '', variant, ...more] = parts.length === 1 ? ['linux', ...parts] : parts;
    const platform = withVariant({ os, architecture, variant });
    checkPlatform(more.length === 0 ? platform : { os: text, architecture });
    const fields: Readonly<Record<string, string>> = { OS: os, ARCH: architecture, VARIANT: variant ?? '' };
    return { image: template.replaceAll(/OS|ARCH|VARIANT/g, (name) => fields[name] ?? name), platform };
  });
}

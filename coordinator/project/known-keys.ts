/** Which keys a section may have. A key that is overlooked would be a build that differs from what was asked for. */
import { closestMatch } from 'leven';
import type { YamlValue } from './yaml-value.ts';

export interface KnownKeys {
  readonly supported: readonly string[];
  /** What is known but cannot be done. */
  readonly refused?: Readonly<Record<string, Refusal>>;
  readonly isIgnored?: (key: string) => boolean;
}

export interface Refusal {
  readonly why: string;
  readonly hint: string;
  /** Values that ask for nothing. */
  readonly harmless?: readonly string[];
}

/** Throws `config` for the first key that is not one of those. */
export function checkKeys(section: YamlValue, { supported, refused = {}, isIgnored }: KnownKeys): void {
  for (const [key, value] of section.entries()) {
    if (supported.includes(key)) continue;
    const refusal = Object.hasOwn(refused, key) ? refused[key] : undefined;
    if (refusal === undefined) {
      if (isIgnored?.(key) === true) continue;
      throw unknownKey(key, value, supported);
    }
    if (value.isEmpty || value.mergeTag === '!reset') continue;
    if (value.isText && refusal.harmless?.includes(value.text()) === true) continue;
    throw value.error(refusal.why, refusal.hint);
  }
}

function unknownKey(key: string, value: YamlValue, supported: readonly string[]): Error {
  const nearest = closestMatch(key, [...supported], { maxDistance: 4 });
  return value.error(
    'unknown key',
    nearest === undefined ? `known keys: ${supported.join(', ')}` : `did you mean ${nearest}?`,
  );
}

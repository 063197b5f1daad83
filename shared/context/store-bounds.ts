/** How large and how old what a store keeps may get, as users say it. */
import { ArchfarmError } from '../errors.ts';
import { parseSize } from '../size.ts';
import type { StoreBounds } from './sweep.ts';

export const storeBoundsVariable = 'ARCHFARM_CONTEXT_STORE';

const day = 24 * 3_600_000;

/**
 * Reads `20GiB` or `20GiB,30d`: the size, and the days after which goes what nobody used. The flag wins over the
 * environment; what neither says stays as it is by default. Throws `usage` naming the one that is wrong.
 */
export function readStoreBounds(
  flag: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): Partial<StoreBounds> {
  const text = flag ?? environment[storeBoundsVariable];
  if (flag === undefined && !text) return {};
  try {
    return parseStoreBounds(text ?? '');
  } catch (cause) {
    const name = flag === undefined ? storeBoundsVariable : '--context-store';
    throw new ArchfarmError('usage', `${name} ${JSON.stringify(text)} is not the size of a store`, {
      hint: 'write it like 20GiB, or 20GiB,30d to drop what nobody used for 30 days',
      cause,
    });
  }
}

function parseStoreBounds(text: string): Partial<StoreBounds> {
  const [, size = '', days] = /^([^,]+)(?:, *(\d{1,5})d)?$/.exec(text.trim()) ?? [];
  const maxBytes = parseSize(size);
  if (maxBytes === 0 || days === '0') throw new ArchfarmError('usage', 'it would keep nothing');
  return { maxBytes, ...(days === undefined ? {} : { maxAge: Number(days) * day }) };
}

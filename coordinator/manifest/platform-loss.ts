/** A tag keeps the platforms that it has: whoever runs one of them would find it gone. */
import { ArchfarmError } from '../../shared/errors.ts';

/** Those of `current` that `wanted` lacks; all normalized and formatted. Optional platforms are wanted, built or not. */
export function lostPlatforms(current: readonly string[], wanted: readonly string[]): string[] {
  return [...new Set(current)].filter((platform) => !wanted.includes(platform));
}

export function platformLoss(reference: string, lost: readonly string[]): ArchfarmError {
  return new ArchfarmError(
    'platform-loss',
    `${reference} has ${lost.join(', ')} today, and would lose ${lost.length > 1 ? 'them' : 'it'}`,
    { hint: `publish ${lost.length > 1 ? 'them' : 'it'} too, or give --force to do without` },
  );
}

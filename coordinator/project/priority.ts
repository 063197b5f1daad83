/** How urgent a build is, beside those of other people. */
import { ArchfarmError } from '../../shared/errors.ts';

/** Either way from the usual 0. */
export const maxPriority = 100;

/** Throws `usage` naming the option. */
export function parsePriority(text: string, option: string): number {
  const priority = Number(text);
  if (/^[+-]?\d{1,3}$/.test(text) && Math.abs(priority) <= maxPriority) return priority;
  throw new ArchfarmError('usage', `${option} ${JSON.stringify(text)} is not a priority`, {
    hint: `it is a whole number from -${maxPriority} to ${maxPriority}; builds of a higher one go first, and 0 is usual`,
  });
}

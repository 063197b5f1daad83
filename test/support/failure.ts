/** The error that work ends with. */
import { ArchfarmError } from '../../shared/errors.ts';

/** Throws when the work succeeds, or fails with anything but an ArchfarmError. */
export async function failureOf(work: Promise<unknown>): Promise<ArchfarmError> {
  const outcome = await work.catch((error: unknown) => error);
  if (outcome instanceof ArchfarmError) return outcome;
  throw new Error(`expected an ArchfarmError, got ${String(outcome)}`, { cause: outcome });
}

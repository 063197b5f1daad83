/** How a command ends that leaves its build to the coordinator. */
import { ArchfarmError } from '../../shared/errors.ts';
import { sayError } from './own-words.ts';

/** Gives the exit status: whoever interrupted did not see the build end. */
export function sayLeft(build: string): number {
  const left = new ArchfarmError('cancelled', `left build ${build} to the coordinator`, {
    hint: `archfarm attach ${build} follows it`,
  });
  sayError(left);
  return left.exitStatus;
}

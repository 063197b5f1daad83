/** How a command ends that leaves its build to the coordinator. */
import { exitStatusOf } from '../../shared/errors.ts';
import { say } from './output.ts';

/** Gives the exit status: whoever interrupted did not see the build end. */
export function sayLeft(build: string): number {
  say(`archfarm: left build ${build} to the coordinator\n  archfarm attach ${build} follows it`);
  return exitStatusOf.cancelled;
}

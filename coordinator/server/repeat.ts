/** What of a build the command that repeats it has to say, beside its name, tags and platforms. */
import type { RepeatFlags } from '../../shared/progress.ts';
import { looksSecret } from '../project/secret-arguments.ts';
import type { BuildSpec } from '../project/spec.ts';

/** Values of arguments that look like secrets stay here: the client's environment is to have them. */
export function repeatFlags({ dockerfile, args, target }: BuildSpec): RepeatFlags {
  return {
    ...(dockerfile.name === 'Dockerfile' ? {} : { dockerfile: dockerfile.name }),
    ...(target === undefined ? {} : { target }),
    args: Object.entries(args).map(([name, value]) => (looksSecret(name) ? name : `${name}=${value}`)),
  };
}

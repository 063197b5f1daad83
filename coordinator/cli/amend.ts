/** `archfarm amend`: builds more platforms from the trees of a build, and publishes its list with them. */
import { ArchfarmError } from '../../shared/errors.ts';
import type { BuildResult } from '../../shared/progress.ts';
import { Api } from './api.ts';
import { runFollowUp, type FollowUpOptions } from './follow-up.ts';
import { requireCoordinator, type GlobalOptions } from './global-options.ts';
import type { Interrupts } from './interrupts.ts';

/** `target` is a build's id, or what a build published. Gives the exit status: that of the new build. */
export async function runAmend(
  target: string,
  options: FollowUpOptions,
  global: GlobalOptions & Pick<Interrupts, 'second'>,
): Promise<number> {
  const { platforms, allowEmulation } = options.build;
  if (platforms.length === 0) {
    throw new ArchfarmError('usage', 'amend needs to know what to add', {
      hint: `archfarm amend ${target} --platform linux/s390x`,
    });
  }
  const address = await requireCoordinator(global);
  using api = new Api(address);
  const of = await find(target, api, global.signal);
  return await runFollowUp(of, options, {
    address,
    api,
    interrupts: global,
    submit: (continuation, signal) =>
      api.amend(of.build, { ...continuation, platforms, allowEmulation }, signal),
  });
}

/** A word may be the beginning of an id as well as a name; the first is tried first. */
async function find(target: string, api: Api, signal: AbortSignal): Promise<BuildResult> {
  if (/^[a-z0-9]{1,32}$/.test(target)) {
    try {
      return await api.build(target, signal);
    } catch (error) {
      if (!(error instanceof ArchfarmError) || error.code !== 'not-found') throw error;
    }
  }
  return api.publisher(target, signal);
}

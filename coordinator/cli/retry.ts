/** `archfarm retry`: builds again what failed of a build, and publishes it with what did not. */
import { Api } from './api.ts';
import { runFollowUp, type FollowUpOptions } from './follow-up.ts';
import { requireCoordinator, type GlobalOptions } from './global-options.ts';
import type { Interrupts } from './interrupts.ts';

/** Gives the exit status: that of the new build. */
export async function runRetry(
  id: string,
  options: FollowUpOptions,
  global: GlobalOptions & Pick<Interrupts, 'second'>,
): Promise<number> {
  const address = await requireCoordinator(global);
  using api = new Api(address);
  const of = await api.build(id, global.signal);
  return await runFollowUp(of, options, {
    address,
    api,
    interrupts: global,
    submit: (continuation, signal) => api.retry(of.build, continuation, signal),
  });
}

/** `archfarm cancel`: ends a build that nobody wants any more. */
import { ArchfarmError } from '../../shared/errors.ts';
import type { BuildStatus } from '../../shared/progress.ts';
import { openCoordinator, type GlobalOptions } from './global-options.ts';
import { print } from './output.ts';
import { plainText } from './progress/sanitize.ts';

/** A build that publishes moves its tags already; the coordinator decides whether it is too late. */
const cancellable: ReadonlySet<BuildStatus> = new Set(['queued', 'running', 'publishing']);

/** Throws `not-found` for a build that has ended. */
export async function runCancel(id: string, global: GlobalOptions): Promise<void> {
  using api = await openCoordinator(global);
  const { build, status } = await api.build(id, global.signal);
  if (!cancellable.has(status)) {
    throw new ArchfarmError('not-found', `build ${build} has ended already: it is ${status}`);
  }
  await api.cancel(build, global.signal);
  print(plainText(build));
}

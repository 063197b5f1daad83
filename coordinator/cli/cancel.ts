/** `archfarm cancel`: ends a build that nobody wants any more. */
import { openCoordinator, type GlobalOptions } from './global-options.ts';
import { print } from './output.ts';
import { plainText } from './progress/sanitize.ts';

export async function runCancel(id: string, global: GlobalOptions): Promise<void> {
  using api = await openCoordinator(global);
  const { build } = await api.build(id, global.signal);
  await api.cancel(build, global.signal);
  print(plainText(build));
}

/** `archfarm logs`: what happened in a build so far, or (`-f`) until it ends. */
import { once } from 'node:events';
import { followBuild } from './follow.ts';
import { openCoordinator, type GlobalOptions } from './global-options.ts';
import { createRenderer } from './progress/create-renderer.ts';

export interface LogsOptions {
  /** Number of the last event that was seen already. */
  readonly after: number;
  readonly follow: boolean;
}

export async function runLogs(
  id: string,
  options: LogsOptions & { readonly global: GlobalOptions },
): Promise<void> {
  const { after, follow, global } = options;
  const { signal } = global;
  using api = await openCoordinator(global);
  // An abbreviated id may come to mean another build while this one is followed.
  const { build } = await api.build(id, signal);
  using renderer = await createRenderer(global.json ? 'rawjson' : 'plain', {
    screen: process.stdout,
    environment: process.env,
    grouped: false,
  });
  const frames = follow
    ? followBuild(api, build, { after, signal })
    : api.frames(build, { after, follow: false, signal });
  for await (const frame of frames) {
    renderer.show(frame);
    // A reader that is slower than the coordinator must not have the whole log wait in memory.
    if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain', { signal });
  }
}

/** `archfarm attach`: follows a build that somebody left, as `archfarm build` does. */
import { conclude } from './conclusion.ts';
import { followToEnd } from './follow-to-end.ts';
import { openCoordinator, type GlobalOptions } from './global-options.ts';
import type { Interrupts } from './interrupts.ts';
import { sayLeft } from './left.ts';
import { createRenderer, type ProgressMode } from './progress/create-renderer.ts';

export interface AttachOptions {
  readonly progress: ProgressMode;
  /** Number of the last event that was seen already. */
  readonly after: number;
  readonly global: GlobalOptions;
  readonly interrupts: Pick<Interrupts, 'signal' | 'second'>;
}

/** Gives the exit status: that of the build. */
export async function runAttach(id: string, options: AttachOptions): Promise<number> {
  const { progress, after, global, interrupts } = options;
  using api = await openCoordinator(global);
  // An abbreviated id may come to mean another build while this one is followed.
  const { build } = await api.build(id, global.signal);
  const mode = global.quiet ? 'quiet' : progress;
  using renderer = await createRenderer(mode, { screen: process.stderr, environment: process.env });
  const farm = { api, local: false, failed: new Promise<never>(() => {}) };
  const followed = await followToEnd(build, { farm, renderer, interrupts, after });
  renderer[Symbol.dispose]();
  if (followed.type === 'left') return sayLeft(build);
  return await conclude(followed.result, { options: {}, mode, report: followed.report });
}

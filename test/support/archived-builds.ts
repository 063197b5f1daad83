/** Builds that have ended, as a store archives them. */
import type { DurableEvent } from '../../coordinator/farm/events.ts';
import { createState } from '../../coordinator/farm/farm-state.ts';
import { resultOf } from '../../coordinator/farm/result.ts';
import { apply } from '../../coordinator/farm/state.ts';
import type { Store } from '../../coordinator/store/store.ts';
import type { BuildResult } from '../../shared/progress.ts';
import { defaultTimers } from '../../shared/timers.ts';
import { sampleSpec } from './farm-fixtures.ts';

export interface ArchivedBuild {
  readonly submitted: DurableEvent;
  readonly sequence: number;
  readonly result: BuildResult;
}

export function archivedResult(id: string, sequence: number): ArchivedBuild {
  const state = createState({ timers: defaultTimers, startedAt: 0 });
  const submitted: DurableEvent = {
    type: 'submitted',
    at: sequence,
    build: { id, sequence, spec: sampleSpec(), client: 'test' },
  };
  apply(state, submitted);
  const [build] = state.builds.values();
  if (build === undefined) throw new Error('no build');
  return { submitted, sequence, result: { ...resultOf(build, { at: 10 }), status: 'succeeded' } };
}

export async function archive(store: Store, { submitted, sequence, result }: ArchivedBuild): Promise<void> {
  await store.append([submitted]);
  await store.append([], [{ result, remains: { sequence, spec: sampleSpec(), images: {} } }]);
}

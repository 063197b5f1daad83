/** How a build begins, publishes and ends. */
import type { ErrorInfo } from '../../shared/errors.ts';
import type { ProofResult } from '../../shared/proof.ts';
import type { StateEvent } from '../../shared/progress.ts';
import { isFatal, isReady, isSettled, newBuild } from './build-state.ts';
import type { Build, TaskState } from './build-state.ts';
import type { DurableEvent, Effect, NewBuild, Remains, VerifiedImage } from './events.ts';
import type { FarmState, Step } from './farm-state.ts';
import { verdictOf } from '../proof/verdict.ts';
import { tagKey } from '../registry/spelling.ts';
import { stopAttempts } from './stop-attempts.ts';
import { resultOf } from './result.ts';
import { Roster, waitReason } from './roster.ts';

type Published = Extract<DurableEvent, { type: 'published' }>;

export function submit(step: Step, submitted: NewBuild): void {
  if (step.state.builds.has(submitted.id)) return;
  const build = newBuild(submitted, step.at);
  step.state.builds.set(build.id, build);
  notifyBuild(step, build, { state: 'queued' });
  for (const task of build.tasks.values()) {
    if (isSettled(task)) {
      const reason = `the image of build ${build.origin?.build}`;
      notifyTask(step, { build, task }, { state: task.status, reason });
      continue;
    }
    const reason = waitReason(new Roster(step.state, step.at), { build, task });
    notifyTask(step, { build, task }, { state: 'queued', reason });
  }
}

/** Cancel comes too late for a build that moves its tags: they may have moved. */
export function cancel(step: Step, build: Build, error: ErrorInfo): void {
  if (build.publishing !== undefined) return;
  for (const task of build.tasks.values()) {
    if (isSettled(task)) continue;
    task.status = 'cancelled';
    stopAttempts(step, task, { outcome: 'cancelled', reason: error.message });
    notifyTask(step, { build, task }, { state: 'cancelled', reason: error.message });
  }
  end(step, build, { status: error.code === 'cancelled' ? 'cancelled' : 'failed', error });
}

/** To be called when a task has settled. */
export function afterTask(step: Step, build: Build): void {
  const tasks = [...build.tasks.values()];
  // The other platforms finish in any case: their images and logs are what a retry builds on.
  if (!tasks.every(isSettled)) return;
  const none = tasks.every((task) => task.status !== 'pushed');
  if (!none && !tasks.some(isFatal)) return;
  end(step, build, { status: 'failed', error: build.error ?? tasks.find(({ error }) => error)?.error });
}

export function beginPublishing(step: Step, build: Build, tags: readonly string[]): void {
  if (!isReady(build)) return;
  build.publishing = tags;
  build.status = 'publishing';
  const kept = build.spec.tags.filter((tag) => !tags.includes(tag));
  const reason =
    kept.length === 0 ? undefined : `${kept.join(', ')}: published by a newer build, left as it is`;
  notifyBuild(step, build, { state: 'publishing', reason });
  step.effects.push({ type: 'publish', build: build.id, children: childrenOf(build), tags });
}

export function endPublished(step: Step, build: Build, published: Published): void {
  if (build.publishing === undefined || build.published !== undefined) return;
  build.published = published;
  for (const tag of build.publishing.map(tagKey)) {
    step.state.published.set(tag, Math.max(build.sequence, step.state.published.get(tag) ?? 0));
  }
  const proof = proofOf(build);
  if (proof === undefined) return end(step, build, { status: 'succeeded' });
  notifyBuild(step, build, { state: 'publishing', reason: 'published; running it on every platform' });
  step.effects.push(proof);
}

/** What is to be proven of a build that has published; undefined where nothing is. */
export function proofOf(build: Build): Extract<Effect, { type: 'prove' }> | undefined {
  const [tag] = build.published?.tags ?? [];
  if (build.spec.verify === undefined || build.published === undefined || tag === undefined) return undefined;
  const platforms = [...build.tasks.values()].flatMap(({ platform, image }) =>
    image === undefined ? [] : [platform],
  );
  return { type: 'prove', build: build.id, digest: build.published.descriptor.digest, tag, platforms };
}

export function endProved(step: Step, build: Build, proofs: Readonly<Record<string, ProofResult>>): void {
  if (build.published === undefined) return;
  build.proofs = proofs;
  const error = verdictOf(proofs);
  end(step, build, error === undefined ? { status: 'succeeded' } : { status: 'failed', error });
}

export function endUnpublished(step: Step, build: Build, error: ErrorInfo): void {
  if (build.publishing !== undefined && build.published === undefined)
    end(step, build, { status: 'failed', error });
}

export function endSuperseded(step: Step, build: Build): void {
  if (!isReady(build)) return;
  const reason = `a newer build has published ${build.spec.tags.join(', ')}`;
  end(step, build, { status: 'superseded', reason });
}

/** The verified images in the order of the spec's platforms. */
export function childrenOf(build: Build): VerifiedImage[] {
  return [...build.tasks.values()].flatMap((task) => (task.image === undefined ? [] : [task.image]));
}

type Change = Omit<StateEvent, 'type' | 'time'>;

export function notifyBuild(step: Step, build: Build, change: Change): void {
  step.effects.push({
    type: 'notify',
    build: build.id,
    event: { type: 'state', time: step.at, ...withoutUndefined(change) },
  });
}

export function notifyTask(
  step: Step,
  { build, task, agent }: { build: Build; task: TaskState; agent?: string },
  change: Change,
): void {
  step.effects.push({
    type: 'notify',
    build: build.id,
    platform: task.platform,
    ...(agent === undefined ? {} : { agent }),
    event: { type: 'state', time: step.at, ...withoutUndefined(change) },
  });
}

function withoutUndefined({ reason, error, ...change }: Change): Change {
  return {
    ...change,
    ...(reason === undefined ? {} : { reason }),
    ...(error === undefined ? {} : { error }),
  };
}

type Ending =
  | { readonly status: 'succeeded' }
  | { readonly status: 'failed' | 'cancelled'; readonly error: ErrorInfo | undefined }
  | { readonly status: 'superseded'; readonly reason: string };

function end(step: Step, build: Build, ending: Ending): void {
  build.status = ending.status;
  if ('error' in ending) build.error = ending.error;
  notifyBuild(step, build, {
    state: ending.status,
    reason: 'reason' in ending ? ending.reason : undefined,
    error: build.error,
  });
  const result = resultOf(build, { at: step.at });
  step.effects.push({ type: 'finished', build: build.id, result, remains: remainsOf(build) });
  forget(step.state, build);
}

function remainsOf({ sequence, spec, origin, tasks }: Build): Remains {
  const images = [...tasks.values()].flatMap(({ platform, image }) =>
    image === undefined ? [] : [[platform, image] as const],
  );
  return { sequence, spec, origin, images: Object.fromEntries(images) };
}

function forget(state: FarmState, build: Build): void {
  const [oldest] = state.builds.keys();
  state.builds.delete(build.id);
  if (build.id !== oldest) return;
  // Only builds older than a publication need to know of it.
  const [next] = state.builds.values();
  for (const [tag, sequence] of state.published) {
    if (next === undefined || sequence < next.sequence) state.published.delete(tag);
  }
}

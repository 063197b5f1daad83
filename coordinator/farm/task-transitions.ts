/** How a task goes from attempt to attempt until one brings a verified image or a verdict. */
import { formatAttempt } from '../../shared/attempt.ts';
import type { AttemptId } from '../../shared/attempt.ts';
import type { ErrorInfo } from '../../shared/errors.ts';
import type { PushedImage } from '../../shared/task.ts';
import { meet } from './affinity.ts';
import { failedTries, isResumable, isSettled, liveAttempt, newAttempt } from './build-state.ts';
import type { Attempt, Build, TaskState } from './build-state.ts';
import { afterTask, notifyBuild, notifyTask } from './build-transitions.ts';
import type { DurableEvent, VerifiedImage } from './events.ts';
import { findAttempt, standingOf } from './farm-state.ts';
import type { Found, Step } from './farm-state.ts';
import { clearFailures, clearRefusals, noteFailure, noteRefusal } from './standing.ts';
import { stopAttempts } from './stop-attempts.ts';

type Offered = Extract<DurableEvent, { type: 'offered' }>;
type Failed = Extract<DurableEvent, { type: 'failed' }>;
type Voided = Extract<DurableEvent, { type: 'voided' }>;

/** Tries of a task that may end without a verdict on the build itself. */
export const maxTries = 3;

export function offer(step: Step, { attempt: id, agent, session, native }: Offered): void {
  const task = step.state.builds.get(id.build)?.tasks.get(id.platform);
  if (task === undefined || isSettled(task) || liveAttempt(task) !== undefined) return;
  if (id.number !== task.attempts.length + 1) return;
  task.attempts.push(newAttempt(id, { agent, native, at: step.at }));
  step.state.agents.get(agent)?.held.set(formatAttempt(id), 'offered');
  step.effects.push({ type: 'offer', attempt: id, agent, session });
}

export function accept(step: Step, id: AttemptId): void {
  const found = findAttempt(step.state, id);
  if (found === undefined || isSettled(found.task)) return cancelHeld(step, id, 'this build is over');
  if (found.attempt.status === 'offered') return run(step, found);
  if (isResumable(found.attempt)) stopStray(step, found.attempt);
  return undefined;
}

/** It dialed while the offer was on its way: its hello did not have the attempt, which was given up, and it works on it. */
function stopStray(step: Step, { id, agent: name }: Attempt): void {
  const agent = step.state.agents.get(name);
  if (agent === undefined || agent.held.has(formatAttempt(id))) return;
  step.effects.push({ type: 'cancel', attempt: id, agent: name, reason: 'the offer was withdrawn' });
}

export function hearAttempt(step: Step, id: AttemptId): void {
  const attempt = findAttempt(step.state, id)?.attempt;
  if (attempt !== undefined) attempt.aliveAt = Math.max(attempt.aliveAt, step.at);
}

export function resume(step: Step, id: AttemptId): void {
  const found = findAttempt(step.state, id);
  if (found === undefined || isSettled(found.task) || liveAttempt(found.task) !== undefined) return;
  if (isResumable(found.attempt)) run(step, found);
}

/** The first report of an attempt is verified, whatever became of the attempt meanwhile. */
export function report(step: Step, id: AttemptId, image: PushedImage): void {
  settle(step, id);
  const found = findAttempt(step.state, id);
  if (found === undefined || isSettled(found.task) || found.attempt.report !== undefined) return;
  if (found.attempt.isVoid) return;
  begin(step, found);
  const { attempt } = found;
  attempt.status = 'reported';
  attempt.report = image;
  attempt.timings = image.timings;
  attempt.sentBytes = image.sentBytes;
  step.effects.push({ type: 'verify', attempt: id, image });
}

export function verify(step: Step, id: AttemptId, image: VerifiedImage): void {
  const found = findAttempt(step.state, id);
  if (found === undefined || isSettled(found.task) || found.attempt.status !== 'reported') return;
  const { build, task, attempt } = found;
  finish(step, attempt, { outcome: 'pushed' });
  clearFailures(standingOf(step.state, attempt.agent));
  task.status = 'pushed';
  task.image = image;
  stopAttempts(step, task, {
    outcome: 'superseded',
    reason: `agent ${attempt.agent} was first`,
    except: attempt,
  });
  notifyTask(
    step,
    { build, task, agent: attempt.agent },
    { state: 'pushed', attempt: id.number, native: attempt.native },
  );
  afterTask(step, build);
}

export function fail(step: Step, failed: Failed): void {
  const { attempt: id, outcome, error } = failed;
  const found = findAttempt(step.state, id);
  if (outcome === 'declined') {
    // An agent that took the offer after all keeps its slot.
    if (found?.attempt.status !== 'running') withdraw(step, id);
  }
  // What a lost agent does is unknown: it may still report, and must keep that report until it has.
  else if (outcome !== 'lost') settle(step, id);
  if (found === undefined || isSettled(found.task) || !isNews(found.attempt, failed)) return;
  const wasWorking = found.attempt.status === 'running';
  finish(step, found.attempt, failed);
  noteHealth(step, failed, { agent: found.attempt.agent, wasWorking });
  if (isVerdict(failed)) return giveUp(step, found, error);
  if (liveAttempt(found.task) !== undefined) return;
  if (failedTries(found.task) >= maxTries) return giveUp(step, found, error);
  requeue(step, found, failed);
}

/** An image that it brought is built again elsewhere, unless the build has begun to publish. */
export function voidAttempt(step: Step, { attempt: id, error }: Voided): void {
  release(step, id);
  const found = findAttempt(step.state, id);
  if (found === undefined || found.attempt.isVoid || found.build.publishing !== undefined) return;
  const { task, attempt } = found;
  attempt.isVoid = true;
  const brought = attempt.outcome === 'pushed';
  if (!brought && (attempt.status === 'ended' || isSettled(task))) return;
  finish(step, attempt, { outcome: 'lost', error });
  task.image = undefined;
  if (failedTries(task) >= maxTries) return giveUp(step, found, error);
  requeue(step, found, { outcome: 'lost', error });
}

/** A build that fails by its own fault shows that its host works. */
function noteHealth(
  { state, at }: Step,
  failed: Failed,
  { agent, wasWorking }: { readonly agent: string; readonly wasWorking: boolean },
): void {
  const standing = standingOf(state, agent);
  if (failed.outcome === 'declined') noteRefusal(standing, { timers: state.timers, at });
  else if (isVerdict(failed)) clearFailures(standing);
  else if (failed.outcome === 'failed' && wasWorking) {
    noteFailure(standing, failed.error, { timers: state.timers, at });
  }
}

/** Whether a failure still says something of its attempt. */
function isNews(attempt: Attempt, failed: Failed): boolean {
  if (attempt.isVoid) return false;
  switch (attempt.status) {
    case 'offered':
      return true;
    case 'running':
      return failed.outcome !== 'declined';
    case 'reported':
      // Only the coordinator's own look at the image can undo a report.
      return failed.outcome === 'failed';
    case 'ended':
      return isVerdict(failed);
    default:
      return attempt.status satisfies never;
  }
}

/** A build error is one on every agent, so it counts even from an attempt that had been given up. */
function isVerdict(failed: Failed): boolean {
  return failed.kind === 'build' && failed.outcome === 'failed';
}

export function abandon(step: Step, id: { build: string; platform: string }, error: ErrorInfo): void {
  const build = step.state.builds.get(id.build);
  const task = build?.tasks.get(id.platform);
  if (build === undefined || task === undefined || isSettled(task)) return;
  if (liveAttempt(task) !== undefined) return;
  // Nobody there to try an optional one is not a failure of it.
  task.status = task.optional ? 'skipped' : 'failed';
  settleBadly(build, task, error);
  stopAttempts(step, task, { outcome: 'cancelled', reason: error.message });
  notifyTask(step, { build, task }, { state: task.status, error });
  afterTask(step, build);
}

function run(step: Step, found: Found): void {
  const { build, task, attempt } = found;
  begin(step, found);
  meet(step.state.acquaintance, attempt.agent, found);
  clearRefusals(standingOf(step.state, attempt.agent));
  const holder = step.state.agents.get(attempt.agent);
  const name = formatAttempt(attempt.id);
  if (holder?.held.has(name) === true) holder.held.set(name, 'confirmed');
  notifyTask(
    step,
    { build, task, agent: attempt.agent },
    { state: 'running', attempt: attempt.id.number, native: attempt.native },
  );
}

function begin(step: Step, { build, task, attempt }: Found): void {
  attempt.status = 'running';
  attempt.outcome = undefined;
  attempt.error = undefined;
  attempt.endedAt = undefined;
  attempt.acceptedAt ??= step.at;
  attempt.aliveAt = step.at;
  task.status = 'running';
  if (build.status !== 'queued') return;
  build.status = 'running';
  notifyBuild(step, build, { state: 'running' });
}

type Ending = Pick<Attempt, 'outcome'> & Partial<Pick<Failed, 'error' | 'timings' | 'sentBytes'>>;

function finish(step: Step, attempt: Attempt, ending: Ending): void {
  attempt.status = 'ended';
  attempt.endedAt = step.at;
  attempt.outcome = ending.outcome;
  attempt.error = ending.error;
  attempt.timings = ending.timings ?? attempt.timings;
  attempt.sentBytes = ending.sentBytes ?? attempt.sentBytes;
}

function giveUp(step: Step, { build, task, attempt }: Found, error: ErrorInfo): void {
  task.status = 'failed';
  settleBadly(build, task, error);
  stopAttempts(step, task, { outcome: 'cancelled', reason: error.message, except: attempt });
  notifyTask(
    step,
    { build, task, agent: attempt.agent },
    { state: 'failed', attempt: attempt.id.number, native: attempt.native, error },
  );
  afterTask(step, build);
}

/** A build may go without an optional platform, so that one's error is not the build's. */
function settleBadly(build: Build, task: TaskState, error: ErrorInfo): void {
  task.error = error;
  if (!task.optional) build.error ??= error;
}

function requeue(
  step: Step,
  { build, task, attempt }: Found,
  { outcome, error }: Pick<Failed, 'outcome' | 'error'>,
): void {
  // An offer that came to nothing does not begin the wait anew.
  if (outcome === 'declined' && task.status === 'queued') return;
  task.status = 'queued';
  task.queuedAt = step.at;
  notifyTask(
    step,
    { build, task, agent: attempt.agent },
    { state: 'queued', attempt: attempt.id.number, reason: error.message, error },
  );
}

/** Frees the slot of a report's agent, and lets it forget the attempt. */
function settle(step: Step, id: AttemptId): void {
  const sender = findAttempt(step.state, id)?.attempt.agent;
  const holders = release(step, id);
  for (const agent of sender === undefined ? holders : [sender]) {
    step.effects.push({ type: 'settle', attempt: id, agent });
  }
}

/** An agent that declined an offer knows it; one that never answered must not begin any more. */
function withdraw(step: Step, id: AttemptId): void {
  for (const agent of release(step, id)) {
    step.effects.push({ type: 'cancel', attempt: id, agent, reason: 'the offer was withdrawn' });
  }
}

/** The names of the agents that held it. */
function release(step: Step, id: AttemptId): string[] {
  const name = formatAttempt(id);
  const holders = [...step.state.agents.values()].filter((agent) => agent.held.delete(name));
  return holders.map((agent) => agent.facts.name);
}

function cancelHeld(step: Step, id: AttemptId, reason: string): void {
  const name = formatAttempt(id);
  for (const agent of step.state.agents.values()) {
    if (agent.held.has(name))
      step.effects.push({ type: 'cancel', attempt: id, agent: agent.facts.name, reason });
  }
}

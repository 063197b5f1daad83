/** Builds: what goes on at the moment of the scrape, and what came of those that ended. */
import { Counter, Histogram, type Registry } from 'prom-client';
import type { AttemptOutcome, BuildResult, BuildStatus } from '../../../shared/progress.ts';
import type { FarmLoad } from '../../farm/load.ts';
import { gauge } from './looked-up.ts';

/** Seconds: from a build out of the cache to one of an hour. */
const buckets = [0.1, 0.5, 1, 2.5, 5, 15, 60, 300, 900, 3600];

export interface LoadSource {
  readonly now: number;
  load(): FarmLoad;
}

export function addLoadMetrics(registry: Registry, farm: LoadSource): void {
  gauge(registry, { name: 'archfarm_builds', help: 'Builds that go on.', labelNames: ['status'] }, (tell) => {
    for (const [status, count] of Object.entries(farm.load().builds)) tell({ status }, count);
  });
  gauge(
    registry,
    {
      name: 'archfarm_tasks',
      help: 'Platforms of builds that wait for an agent or are with one.',
      labelNames: ['platform', 'status'],
    },
    (tell) => {
      for (const [platform, { queued, running }] of farm.load().platforms) {
        tell({ platform, status: 'queued' }, queued);
        tell({ platform, status: 'running' }, running);
      }
    },
  );
  gauge(
    registry,
    {
      name: 'archfarm_task_wait_seconds',
      help: 'How long the task that waits longest for an agent of its platform has done so.',
      labelNames: ['platform'],
    },
    (tell) => {
      for (const [platform, { waitingSince }] of farm.load().platforms) {
        if (waitingSince !== undefined) tell({ platform }, Math.max(0, farm.now - waitingSince) / 1000);
      }
    },
  );
}

const ends: readonly BuildStatus[] = ['succeeded', 'failed', 'cancelled', 'superseded'];
const outcomes: readonly AttemptOutcome[] = ['pushed', 'failed', 'lost', 'cancelled', 'superseded'];

export interface ResultMetrics {
  /** Counts every build once, when it has ended. */
  readonly ended: (result: BuildResult) => void;
  /** A platform whose attempts are counted from nothing: `increase()` does not see the first value of a series. */
  readonly offered: (platform: string) => void;
}

export function addResultMetrics(registry: Registry): ResultMetrics {
  const registers = [registry];
  const ended = new Counter({
    name: 'archfarm_builds_ended_total',
    help: 'Builds that have ended.',
    labelNames: ['status'],
    registers,
  });
  const duration = new Histogram({
    name: 'archfarm_build_duration_seconds',
    help: 'From submission to end.',
    labelNames: ['status'],
    buckets,
    registers,
  });
  const attempts = new Counter({
    name: 'archfarm_attempts_total',
    help: 'Attempts of builds that have ended.',
    labelNames: ['platform', 'outcome'],
    registers,
  });
  const phases = new Histogram({
    name: 'archfarm_phase_duration_seconds',
    help: 'Phases of the attempt that brought the image, or of the last one.',
    labelNames: ['phase', 'platform'],
    buckets,
    registers,
  });
  const publish = new Histogram({
    name: 'archfarm_publish_duration_seconds',
    help: 'From the last reported image until the tags had moved.',
    buckets,
    registers,
  });
  const sent = new Counter({
    name: 'archfarm_context_sent_bytes_total',
    help: 'Bytes of contexts that travelled, from clients to the coordinator or from there to agents.',
    labelNames: ['to'],
    registers,
  });
  const saved = new Counter({
    name: 'archfarm_context_saved_bytes_total',
    help: 'Bytes of contexts that did not have to.',
    labelNames: ['to'],
    registers,
  });

  for (const status of ends) ended.inc({ status }, 0);
  const offered = (platform: string): void => {
    for (const outcome of outcomes) attempts.inc({ platform, outcome }, 0);
  };
  const count = ({ status, timings, context, platforms }: BuildResult): void => {
    ended.inc({ status });
    duration.observe({ status }, timings.total / 1000);
    if (timings.publish !== undefined) publish.observe(timings.publish / 1000);
    travelled('coordinator', context.sentBytes);
    for (const { platform, ...task } of platforms) {
      for (const { outcome } of task.attempts) {
        if (outcome !== undefined) attempts.inc({ platform, outcome });
      }
      for (const [phase, milliseconds] of Object.entries(task.timings)) {
        phases.observe({ phase, platform }, milliseconds / 1000);
      }
      // Nothing is saved where nothing was wanted.
      if (task.attempts.length > 0) travelled('agent', task.context.sentBytes);
    }

    function travelled(to: string, bytes: number): void {
      sent.inc({ to }, bytes);
      // What travels includes directories, which the size of a context does not.
      saved.inc({ to }, Math.max(0, context.bytes - bytes));
    }
  };
  return { ended: count, offered };
}

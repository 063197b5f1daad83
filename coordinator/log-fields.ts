/** How log lines of the coordinator name the builds that they concern, where that is not plainly one. */
import { attemptFields } from '../shared/attempt.ts';
import type { Effect, FarmEvent } from './farm/events.ts';

/** `build` where it is one, `builds` where there are several. */
export function buildFields(builds: Iterable<string>): Readonly<Record<string, string | readonly string[]>> {
  const [first, ...others] = new Set(builds);
  if (first === undefined) return {};
  return others.length === 0 ? { build: first } : { builds: [first, ...others] };
}

/** What went wrong with these. */
export function subjectFields(
  subjects: readonly (FarmEvent | Effect)[],
): Readonly<Record<string, string | readonly string[]>> {
  const [only, ...others] = subjects;
  if (others.length === 0 && only !== undefined && 'attempt' in only) return attemptFields(only.attempt);
  return buildFields(subjects.flatMap(buildsOf));
}

function buildsOf(subject: FarmEvent | Effect): readonly string[] {
  if ('attempt' in subject) return [subject.attempt.build];
  if (!('build' in subject)) return [];
  return [typeof subject.build === 'string' ? subject.build : subject.build.id];
}

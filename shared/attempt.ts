/** Names of attempts: `BUILD/PLATFORM/NUMBER`, as `k2v7q9x3/linux/arm64/v8/1`. */

/** One try of a task. `number` counts from 1 within the task. */
export interface AttemptId {
  readonly build: string;
  /** Formatted platform. */
  readonly platform: string;
  readonly number: number;
}

export const attemptGrammar = /^([a-z0-9]{1,32})\/([a-z0-9_.-]+(?:\/[a-z0-9_.-]+){1,2})\/([1-9][0-9]{0,5})$/;

export function formatAttempt(attempt: AttemptId): string {
  return `${attempt.build}/${attempt.platform}/${attempt.number}`;
}

/** Undefined where the text names no attempt. */
export function parseAttempt(text: string): AttemptId | undefined {
  const [, build, platform, number] = attemptGrammar.exec(text) ?? [];
  if (build === undefined || platform === undefined || number === undefined) return undefined;
  return { build, platform, number: Number(number) };
}

/** How log lines name an attempt: by all that somebody may search for. `task` is its platform. */
export function attemptFields(attempt: AttemptId | string): Readonly<Record<string, string>> {
  if (typeof attempt === 'string') {
    const id = parseAttempt(attempt);
    return id === undefined ? { attempt } : attemptFields(id);
  }
  return { build: attempt.build, task: attempt.platform, attempt: formatAttempt(attempt) };
}

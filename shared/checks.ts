/** What a `doctor` looked at, and what to do about what is not well. */
import { ArchfarmError, messageOf } from './errors.ts';

export interface Check {
  readonly state: 'ok' | 'warn' | 'fail';
  /** What was looked at, in a word. */
  readonly subject: string;
  readonly what: string;
  readonly hint?: string;
}

/** What `look` finds, or a failed check with the message and the hint of what it throws. */
export async function check(
  subject: string,
  look: () => Promise<readonly Check[]>,
): Promise<readonly Check[]> {
  try {
    return await look();
  } catch (error) {
    const hint = error instanceof ArchfarmError ? error.hint : undefined;
    return [{ state: 'fail', subject, what: messageOf(error), ...(hint === undefined ? {} : { hint }) }];
  }
}

/** Nothing failed; what could be better does not count. */
export function isWell(checks: readonly Check[]): boolean {
  return checks.every(({ state }) => state !== 'fail');
}

/** A line for each, and an indented one for what to do. */
export function formatChecks(checks: readonly Check[]): string {
  const width = Math.max(0, ...checks.map(({ subject }) => subject.length));
  const lines = checks.flatMap(({ state, subject, what, hint }) => [
    `${state.padEnd(4)}  ${subject.padEnd(width)}  ${what}`,
    ...(hint === undefined ? [] : [`${' '.repeat(width + 8)}${hint}`]),
  ]);
  return lines.map((line) => `${line}\n`).join('');
}

/**
 * How much of what a task says is kept: so much output, and as much again of all else that an agent reports, which can be
 * as long. No agent fills the disk.
 */
import type { BuildEvent, WarningEvent } from '../../shared/progress.ts';
import type { LineHead } from './log-line.ts';

/** Bytes that were kept of a task; infinite once the rest was dropped. */
export interface Share {
  readonly output: number;
  readonly reports: number;
}

type Kind = keyof Share;

export const nothing: Share = { output: 0, reports: 0 };

/** The warning that stands for the rest. */
const notices: Readonly<Record<Kind, string>> = {
  output: 'this task has written more output than is kept; the rest is dropped',
  reports: 'this task has reported more steps and warnings than are kept; the rest is dropped',
};

/** What the coordinator says itself is short, and followers need it. */
const kinds: Readonly<Record<BuildEvent['type'], Kind | undefined>> = {
  log: 'output',
  step: 'reports',
  context: 'reports',
  push: 'reports',
  warning: 'reports',
  state: undefined,
  publish: undefined,
  result: undefined,
};

/** What is kept of the events, at most `limit` bytes of each kind with what was kept before. */
export function shareOf(
  events: readonly BuildEvent[],
  before: Share,
  limit: number,
): { readonly events: readonly BuildEvent[]; readonly share: Share } {
  const share = { ...before };
  const kept = events.flatMap((event): BuildEvent[] => {
    const kind = kinds[event.type];
    if (kind === undefined) return [event];
    const isFirstTooMany = share[kind] !== Infinity;
    if (isFirstTooMany) share[kind] += bytesOf(event);
    if (share[kind] <= limit) return [event];
    share[kind] = Infinity;
    return isFirstTooMany ? [notice(kind, event.time)] : [];
  });
  return { events: kept, share };
}

/** The same again of a line of the log, which is a little longer than what was counted when it came. */
export function shareWith(before: Share, { type, output }: LineHead, line: Buffer): Share {
  const kind = isKnown(type) ? kinds[type] : undefined;
  if (kind === undefined) return before;
  if (kind === 'output') return { ...before, output: before.output + output };
  const told = type === 'warning' ? noticeIn(line) : undefined;
  if (told !== undefined) return { ...before, [told]: Infinity };
  return { ...before, reports: before.reports + line.length };
}

function bytesOf(event: BuildEvent): number {
  return Buffer.byteLength(event.type === 'log' ? event.text : JSON.stringify(event));
}

function notice(kind: Kind, time: number): WarningEvent {
  return { type: 'warning', time, message: notices[kind] };
}

function noticeIn(line: Buffer): Kind | undefined {
  if (line.includes(notices.output)) return 'output';
  return line.includes(notices.reports) ? 'reports' : undefined;
}

function isKnown(type: string): type is BuildEvent['type'] {
  return Object.hasOwn(kinds, type);
}

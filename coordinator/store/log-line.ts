/** One line of a log. What matters of it comes first, so that a long log is gone through without parsing all of it. */
import type { Frame } from '../../shared/progress.ts';

/** Which message of an attempt brought this line and those after it, `events` in all. */
export interface Received {
  readonly attempt: number;
  readonly frame: number;
  readonly events: number;
}

export interface LineHead {
  readonly seq: number;
  readonly platform: string | undefined;
  readonly received: Received | undefined;
  readonly type: string;
  /** Bytes of output in it. */
  readonly output: number;
}

const head =
  /^\{"seq":(\d+),"build":"\w+"(?:,"platform":"([^"]*)")?(?:,"agent":"(?:[^"\\]|\\.)*")?(?:,"received":\{"attempt":(\d+),"frame":(\d+),"events":(\d+)\})?,"type":"(\w+)"/;
/** Bytes in which a head ends: platforms and names of agents are short. */
const headSize = 1024;
const text = ',"text":"';

export function formatLine(frame: Frame, received: Received | undefined): string {
  const { seq, build, platform, agent, ...event } = frame;
  // The number comes first, and all of the head before the event: see `readHead`.
  return `${JSON.stringify({ seq, build, platform, agent, received, ...event })}\n`;
}

/** Without its newline. Undefined for what is no whole line: a power cut can leave zeros where one was to be. */
export function readHead(line: Buffer): LineHead | undefined {
  const found = head.exec(line.toString('latin1', 0, headSize));
  if (found === null || line.at(-1) !== 0x7d || line.includes(0)) return undefined;
  const [, seq, platform, attempt, frame, events, type = ''] = found;
  return {
    seq: Number(seq),
    platform,
    received:
      attempt === undefined
        ? undefined
        : { attempt: Number(attempt), frame: Number(frame), events: Number(events) },
    type,
    // Escaped, so it is a little more than what was counted when it came.
    output: type === 'log' ? line.length - line.indexOf(text) - text.length - 2 : 0,
  };
}

/** NaN for what does not begin like a line. */
export function numberOf(line: Buffer): number {
  return Number(/^\{"seq":(\d+)/.exec(line.toString('latin1', 0, 32))?.[1]);
}

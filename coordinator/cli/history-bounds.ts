/** How much of history `archfarm serve` keeps, as users say it. */
import { ArchfarmError } from '../../shared/errors.ts';
import { parseSize } from '../../shared/size.ts';
import type { HistoryBounds } from '../store/history.ts';
import { parseDuration } from '../../shared/duration.ts';

export interface HistoryFlags {
  readonly keepBuilds?: string | undefined;
  readonly keepAge?: string | undefined;
  readonly keepLogs?: string | undefined;
  readonly logLimit?: string | undefined;
}

const day = 24 * 3_600_000;

/** Only what is given; throws `usage` naming the flag that is wrong. */
export function readHistoryBounds({ keepBuilds, keepAge, keepLogs }: HistoryFlags): Partial<HistoryBounds> {
  return {
    ...(keepBuilds === undefined ? {} : { builds: parseCount(keepBuilds) }),
    ...(keepAge === undefined ? {} : { age: parseAge(keepAge) }),
    ...(keepLogs === undefined ? {} : { logs: parseBytes(keepLogs, '--keep-logs') }),
  };
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new ArchfarmError('usage', `--keep-builds ${JSON.stringify(text)} is not a number of builds`, {
    hint: 'write a whole number from 1, like 10000',
  });
}

function parseAge(text: string): number {
  const [, days] = /^(\d{1,5})d$/.exec(text) ?? [];
  const age = days === undefined ? parseDuration(text, '--keep-age') : Number(days) * day;
  if (age > 0) return age;
  throw new ArchfarmError('usage', `--keep-age ${text} would keep nothing`, {
    hint: 'write it like 90d or 12h',
  });
}

/** Bytes of output that the log keeps of a task; undefined where not given. Throws `usage`. */
export function readLogLimit({ logLimit }: HistoryFlags): number | undefined {
  return logLimit === undefined ? undefined : parseBytes(logLimit, '--log-limit');
}

function parseBytes(text: string, flag: string): number {
  try {
    return parseSize(text);
  } catch (cause) {
    throw new ArchfarmError('usage', `${flag} ${JSON.stringify(text)} is not a size`, {
      hint: 'write it like 500MB or 10GiB',
      cause,
    });
  }
}

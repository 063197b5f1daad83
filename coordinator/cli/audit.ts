/** `archfarm audit` and `archfarm audit verify`: who did what, and whether that is all of it. */
import * as v from 'valibot';
import { ArchfarmError } from '../../shared/errors.ts';
import { parseDuration } from '../../shared/duration.ts';
import { ChainCheck, type AuditHead } from '../trust/audit-chain.ts';
import { requireCoordinator, type GlobalOptions } from './global-options.ts';
import { print, printAll, printJson, printJsonPages } from './output.ts';
import { plainText } from './progress/sanitize.ts';
import { formatPages } from './table.ts';
import { TrustApi } from './trust-api.ts';

const text = v.optional(v.string(), '');
/** What is shown of an entry; whatever else a newer coordinator writes is in `--json`. */
const entrySchema = v.object({
  time: v.number(),
  who: v.optional(v.string(), 'unknown'),
  from: text,
  action: v.string(),
  build: text,
  tags: v.optional(v.array(v.string()), []),
  digest: text,
  agent: text,
  user: text,
  what: text,
  count: v.optional(v.number(), 1),
});

export async function runAudit(
  { since }: { readonly since?: string | undefined },
  global: GlobalOptions,
): Promise<void> {
  const from = since === undefined ? 0 : parseSince(since, Date.now());
  using api = new TrustApi(await requireCoordinator(global));
  const pages = entriesOf(api, from, global.signal);
  if (global.json) await printJsonPages(pages, global.signal);
  else await printAll(formatPages(['TIME', 'WHO', 'FROM', 'ACTION', 'WHAT'], rowsOf(pages)), global.signal);
}

/** A page at a time: an audit may have a million rows. */
async function* entriesOf(api: TrustApi, since: number, signal: AbortSignal): AsyncGenerator<unknown[]> {
  for await (const { rows } of api.audit(since, signal))
    yield rows.map(({ entry }): unknown => JSON.parse(entry));
}

async function* rowsOf(pages: AsyncIterable<unknown[]>): AsyncGenerator<string[][]> {
  for await (const page of pages) yield page.map((entry) => row(entry).map(plainText));
}

/** Gives the exit status: 1 where rows were altered, removed or moved. */
export async function runAuditVerify(
  { expect = [] }: { readonly expect?: readonly string[] | undefined },
  global: GlobalOptions,
): Promise<number> {
  const noted = expect.map(parseHead);
  using api = new TrustApi(await requireCoordinator(global));
  const heads: AuditHead[] = [...noted];
  const check = new ChainCheck(heads);
  let isFirst = true;
  for await (const { rows, head } of api.audit(0, global.signal)) {
    // Rows that are written while these are read come in later pages: the first head is among them.
    if (isFirst && head.number > 0) heads.push(head);
    isFirst = false;
    rows.forEach((row) => check.take(row));
  }
  const { rows, head, faults } = check.verdict();
  const name = head === undefined ? undefined : `${head.number}:${head.hash}`;
  if (global.json) printJson({ rows, head: name, faults });
  else if (faults.length > 0) print(faults.map((fault) => plainText(fault)).join('\n'));
  else {
    print(`${rows} rows, none of them altered, removed or moved`);
    if (name !== undefined && !global.quiet) print(`the last one is ${name}`);
  }
  return faults.length === 0 ? 0 : 1;
}

/** Milliseconds since 1970, of a date or of a time that long ago. Throws `usage`. */
export function parseSince(given: string, now: number): number {
  const [, days] = /^(\d{1,5})d$/.exec(given) ?? [];
  if (days !== undefined) return Math.max(0, now - Number(days) * 86_400_000);
  if (/^\d{4}-\d\d-\d\d/.test(given)) {
    const time = Date.parse(given);
    if (!Number.isNaN(time)) return Math.max(0, time);
  } else if (/^\d/.test(given)) {
    return Math.max(0, now - parseDuration(given, '--since'));
  }
  throw new ArchfarmError('usage', `--since ${JSON.stringify(given)} is neither a date nor a time ago`, {
    hint: 'write it like 2026-01-31, 2026-01-31T12:00Z, 7d or 12h',
  });
}

/** Throws `usage`. */
function parseHead(given: string): AuditHead {
  const [, number, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(given) ?? [];
  if (number !== undefined && hash !== undefined) return { number: Number(number), hash };
  throw new ArchfarmError('usage', `--expect ${JSON.stringify(given)} is no row`, {
    hint: 'give what archfarm audit verify printed as the last one: NUMBER:HASH',
  });
}

function row(entry: unknown): string[] {
  const { time, who, from, action, ...rest } = v.parse(entrySchema, entry);
  const { build, tags, digest, agent, user, what, count } = rest;
  const subject = [build, agent, user, ...tags, digest, what, count > 1 ? `(${count} times)` : ''];
  return [
    new Date(time).toISOString().replace(/\.\d+Z$/, 'Z'),
    who,
    from,
    action,
    subject.filter((part) => part !== '').join(' '),
  ];
}

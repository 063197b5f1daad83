/**
 * Reports that the coordinator has not settled yet, on disk: what an agent built must not be lost because it,
 * or the coordinator, restarted. A file of JSON lines; a torn line is dropped.
 */
import { messageOf } from '../shared/errors.ts';
import { decodeToCoordinator } from '../shared/codec.ts';
import { silentLogger, type Logger } from '../shared/log.ts';
import type { Outcome } from '../shared/task.ts';
import { LinesFile } from './lines-file.ts';

/** Bytes of a file that is emptied once nothing in it is pending. */
const emptyAbove = 1024 * 1024;

export class Journal {
  readonly #file: LinesFile;
  readonly #pending: Map<string, Outcome>;

  private constructor(file: LinesFile, pending: Map<string, Outcome>) {
    this.#file = file;
    this.#pending = pending;
  }

  /** Reads what an earlier process left, and drops from the file what is settled, if there is room to do so. */
  static async open(path: string, log: Logger = silentLogger): Promise<Journal> {
    const { file, text } = await LinesFile.open(path);
    const pending = readLines(text);
    const lines = [...pending].map(([attempt, outcome]) => reportLine(attempt, outcome));
    const isCompact = lines.length > 0 && text === `${lines.join('\n')}\n`;
    const trouble = isCompact ? undefined : await file.replace(lines);
    if (trouble !== undefined) {
      log.warn({ path, reason: messageOf(trouble) }, 'the journal cannot be written, and stays as it is');
    }
    return new Journal(file, pending);
  }

  /** Attempts whose reports are not settled, with those reports. */
  get pending(): ReadonlyMap<string, Outcome> {
    return this.#pending;
  }

  /** Resolves once the report is on disk. */
  async add(attempt: string, outcome: Outcome): Promise<void> {
    this.#pending.set(attempt, outcome);
    await this.#file.append(reportLine(attempt, outcome));
  }

  async settle(attempt: string): Promise<void> {
    if (!this.#pending.delete(attempt)) return;
    await this.#file.append(JSON.stringify({ settled: attempt }));
    if (this.#file.bytes > emptyAbove && this.#pending.size === 0) await this.#file.replace([]);
  }

  async close(): Promise<void> {
    await this.#file.settled();
  }
}

function reportLine(attempt: string, outcome: Outcome): string {
  return JSON.stringify({ attempt, outcome });
}

function readLines(text: string): Map<string, Outcome> {
  const pending = new Map<string, Outcome>();
  for (const line of text.split('\n')) {
    const settled = /^\{"settled":"([^"]+)"\}$/.exec(line)?.[1];
    if (settled !== undefined) pending.delete(settled);
    else readReport(line, pending);
  }
  return pending;
}

/** A line is what would be sent, so the protocol's own check decides whether it is whole. */
function readReport(line: string, pending: Map<string, Outcome>): void {
  if (!line.startsWith('{"attempt":')) return;
  try {
    const report = decodeToCoordinator(Buffer.from(`{"type":"report","lastFrame":0,${line.slice(1)}`));
    if (report.type === 'report') pending.set(report.attempt, report.outcome);
  } catch {
    // Torn by a crash in mid-write: its report was never sent, so nobody counts on it.
  }
}

/**
 * Reports that the coordinator has not settled yet, on disk: what an agent built must not be lost because it,
 * or the coordinator, restarted. An append-only file of JSON lines; a torn last line is dropped.
 */
import { mkdir, open, readFile, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCode } from '../shared/errors.ts';
import { decodeToCoordinator } from '../shared/codec.ts';
import type { Outcome } from '../shared/task.ts';

/** Bytes of a file that is emptied once nothing in it is pending. */
const emptyAbove = 1024 * 1024;

type Line = { readonly settled: string } | { readonly attempt: string; readonly outcome: Outcome };

export class Journal {
  readonly #file: FileHandle;
  readonly #pending: Map<string, Outcome>;
  #writing: Promise<void> = Promise.resolve();
  #bytes = 0;
  /** The last write failed, perhaps in the middle of its line. */
  #torn = false;

  private constructor(file: FileHandle, pending: Map<string, Outcome>) {
    this.#file = file;
    this.#pending = pending;
  }

  /** Reads what an earlier process left, and starts a compact file. */
  static async open(path: string): Promise<Journal> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const pending = readLines(await readFile(path, 'utf8').catch(absentIsEmpty));
    const fresh = `${path}.new`;
    // Appending, so that it can be emptied while it is open.
    await rm(fresh, { force: true });
    const file = await open(fresh, 'a', 0o600);
    const text = [...pending]
      .map(([attempt, outcome]) => `${JSON.stringify({ attempt, outcome })}\n`)
      .join('');
    await file.writeFile(text);
    await file.sync();
    await rename(fresh, path);
    return new Journal(file, pending);
  }

  /** Attempts whose reports are not settled, with those reports. */
  get pending(): ReadonlyMap<string, Outcome> {
    return this.#pending;
  }

  /** Resolves once the report is on disk. */
  async add(attempt: string, outcome: Outcome): Promise<void> {
    this.#pending.set(attempt, outcome);
    await this.#append({ attempt, outcome });
  }

  async settle(attempt: string): Promise<void> {
    if (!this.#pending.delete(attempt)) return;
    await this.#append({ settled: attempt });
  }

  async close(): Promise<void> {
    await this.#writing.catch(() => {});
    await this.#file.close();
  }

  #append(line: Line): Promise<void> {
    const written = this.#writing.catch(() => {}).then(() => this.#write(`${JSON.stringify(line)}\n`));
    this.#writing = written;
    return written;
  }

  async #write(line: string): Promise<void> {
    const text = this.#torn ? `\n${line}` : line;
    this.#torn = true;
    await this.#file.appendFile(text);
    this.#torn = false;
    this.#bytes += Buffer.byteLength(text);
    if (this.#bytes > emptyAbove && this.#pending.size === 0) {
      await this.#file.truncate(0);
      this.#bytes = 0;
    }
    await this.#file.datasync();
  }
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

function absentIsEmpty(error: unknown): string {
  if (systemCode(error) === 'ENOENT') return '';
  throw error;
}

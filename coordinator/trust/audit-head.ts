/** The last row of the audit, in a file beside the database: whoever cuts rows off has to find this too. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ArchfarmError, messageOf, systemCode } from '../../shared/errors.ts';
import { writeWholeSync } from '../../shared/whole-file.ts';
import type { AuditHead } from './audit-chain.ts';

export class HeadFile {
  readonly #path: string;

  constructor(directory: string) {
    this.#path = join(directory, 'audit-head');
  }

  /** Undefined where there is none, or what is there is no head. */
  read(): AuditHead | undefined {
    let text: string;
    try {
      text = readFileSync(this.#path, 'utf8');
    } catch (cause) {
      if (systemCode(cause) === 'ENOENT') return undefined;
      throw new ArchfarmError('config', `cannot read ${this.#path}: ${messageOf(cause)}`, { cause });
    }
    const [, number, hash] = /^(\d{1,15}) ([0-9a-f]{64})\n$/.exec(text) ?? [];
    return number === undefined || hash === undefined ? undefined : { number: Number(number), hash };
  }

  /** Whoever reads it finds the old or the new one. */
  write({ number, hash }: AuditHead): void {
    writeWholeSync(this.#path, `${number} ${hash}\n`, { mode: 0o600 });
  }
}

/**
 * A file of lines that outlive the process. It is appended to line by line, on disk before anything follows from that, and
 * written anew to become shorter. A write that failed half-way spoils its own line alone; readers pass over what is no line of theirs.
 */
import { mkdir, open, readFile, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCode } from '../shared/errors.ts';
import { lacksRoom } from './disk-watch.ts';

export class LinesFile {
  readonly #path: string;
  #writing: Promise<void> = Promise.resolve();
  /** There may be the beginning of a line at its end. */
  #torn: boolean;
  #bytes: number;

  private constructor(path: string, text: string) {
    this.#path = path;
    this.#torn = text !== '' && !text.endsWith('\n');
    this.#bytes = Buffer.byteLength(text);
  }

  /** With what is in it; it need not be there. */
  static async open(path: string): Promise<{ readonly file: LinesFile; readonly text: string }> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const text = await readFile(path, 'utf8').catch(absentIsEmpty);
    return { file: new LinesFile(path, text), text };
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Resolves once the line is on disk. */
  append(line: string): Promise<void> {
    return this.#alone(() =>
      // Opened each time: whoever removes the file must not have what comes then go nowhere.
      this.#withFile(this.#path, async (file) => {
        const text = this.#torn ? `\n${line}\n` : `${line}\n`;
        this.#torn = true;
        await file.appendFile(text);
        this.#torn = false;
        this.#bytes += Buffer.byteLength(text);
        await file.datasync();
      }),
    );
  }

  /** These alone from now on. Where the disk has no room for that, the file stays as it is, and the reason is returned. */
  async replace(lines: readonly string[]): Promise<Error | undefined> {
    try {
      await this.#alone(() => (lines.length === 0 ? this.#empty() : this.#rewrite(lines)));
    } catch (error) {
      if (error instanceof Error && lacksRoom(error)) return error;
      throw error;
    }
    return undefined;
  }

  /** When nothing is being written any more, however that went. */
  settled(): Promise<void> {
    return this.#writing.catch(() => {});
  }

  /** In place: this is what a full disk has room for. */
  #empty(): Promise<void> {
    return this.#withFile(this.#path, async (file) => {
      await file.truncate(0);
      this.#torn = false;
      this.#bytes = 0;
      await file.datasync();
    });
  }

  async #rewrite(lines: readonly string[]): Promise<void> {
    const fresh = `${this.#path}.new`;
    const text = lines.map((line) => `${line}\n`).join('');
    try {
      await rm(fresh, { force: true });
      await this.#withFile(fresh, async (file) => {
        await file.appendFile(text);
        await file.sync();
      });
      await rename(fresh, this.#path);
    } catch (error) {
      await rm(fresh, { force: true }).catch(() => {});
      throw error;
    }
    this.#torn = false;
    this.#bytes = Buffer.byteLength(text);
  }

  async #withFile(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
    const file = await open(path, 'a', 0o600);
    try {
      await write(file);
    } finally {
      await file.close();
    }
  }

  #alone(write: () => Promise<void>): Promise<void> {
    const written = this.#writing.catch(() => {}).then(write);
    this.#writing = written;
    return written;
  }
}

function absentIsEmpty(error: unknown): string {
  if (systemCode(error) === 'ENOENT') return '';
  throw error;
}

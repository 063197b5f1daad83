/** A stream that remembers what was written, and may pass for a terminal. */
import { Writable } from 'node:stream';

export class FakeScreen extends Writable {
  readonly isTTY: boolean;
  columns = 80;
  rows = 24;
  text = '';

  constructor(options: { readonly isTTY: boolean }) {
    super();
    this.isTTY = options.isTTY;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString('utf8');
    done();
  }
}

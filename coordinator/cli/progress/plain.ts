/** `--progress plain`: one line for each thing that happens, for logs and for terminals that cannot redraw. */
import type { Frame } from '../../../shared/progress.ts';
import { guard } from './ci/workflow-commands.ts';
import { PlainLines } from './plain-lines.ts';
import type { Renderer, Screen } from './renderer.ts';
import { plainText } from './sanitize.ts';

export interface PlainOptions {
  readonly colours: boolean;
  /** Whether a runner takes commands from what is printed. */
  readonly guarded: boolean;
}

export class PlainRenderer implements Renderer {
  readonly #screen: Screen;
  readonly #lines: PlainLines;
  readonly #guarded: boolean;

  constructor(screen: Screen, { colours, guarded }: PlainOptions) {
    this.#screen = screen;
    this.#lines = new PlainLines({ colours });
    this.#guarded = guarded;
  }

  show(frame: Frame): void {
    for (const line of this.#lines.of(frame)) this.print(line);
  }

  note(text: string): void {
    this.print(`archfarm: ${plainText(text)}`);
  }

  [Symbol.dispose](): void {}

  /** A line that is clean already. */
  print(line: string): void {
    this.#screen.write(`${this.#guarded ? guard(line) : line}\n`);
  }
}

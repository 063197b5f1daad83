/** `--progress rawjson`: the frames themselves, one a line, for programs. */
import type { Frame } from '../../../shared/progress.ts';
import type { Renderer, Screen } from './renderer.ts';

export class RawJsonRenderer implements Renderer {
  readonly #screen: Screen;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  show(frame: Frame): void {
    this.#screen.write(`${JSON.stringify(frame)}\n`);
  }

  /** Nothing: every line is a frame. */
  note(): void {}

  [Symbol.dispose](): void {}
}

/** `--progress rawjson`: the frames themselves, one a line, for programs. */
import type { Frame } from '../../../shared/progress.ts';
import { guardJson } from './ci/workflow-commands.ts';
import type { Renderer, Screen } from './renderer.ts';

export class RawJsonRenderer implements Renderer {
  readonly #screen: Screen;
  readonly #guarded: boolean;

  constructor(screen: Screen, options: { readonly guarded: boolean }) {
    this.#screen = screen;
    this.#guarded = options.guarded;
  }

  show(frame: Frame): void {
    const line = JSON.stringify(frame);
    this.#screen.write(`${this.#guarded ? guardJson(line) : line}\n`);
  }

  /** Nothing: every line is an event, and these are for whoever watches. */
  note(): void {}

  [Symbol.dispose](): void {}
}

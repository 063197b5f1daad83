/** `--progress tty`: the present state of every platform, redrawn in place; the last state stays. */
import { createLogUpdate } from 'log-update';
import picocolors from 'picocolors';
import type { Frame } from '../../../shared/progress.ts';
import { BuildView } from './build-view.ts';
import { draw, type Canvas } from './drawing.ts';
import type { Renderer, Screen } from './renderer.ts';
import { plainText } from './sanitize.ts';

export interface TtyOptions {
  readonly colours: boolean;
  /** Milliseconds between two drawings. */
  readonly interval?: number;
}

export class TtyRenderer implements Renderer {
  readonly #screen: Screen;
  readonly #view: BuildView;
  readonly #paint: Canvas['paint'];
  readonly #update: ReturnType<typeof createLogUpdate>;
  readonly #timer: NodeJS.Timeout;
  #done = false;

  constructor(screen: Screen, { colours, interval = 100 }: TtyOptions) {
    this.#screen = sized(screen);
    this.#view = new BuildView({ colours });
    this.#paint = picocolors.createColors(colours);
    this.#update = createLogUpdate(this.#screen);
    this.#timer = setInterval(() => this.#redraw(), interval);
  }

  show(frame: Frame): void {
    this.#view.take(frame, performance.now());
  }

  note(text: string): void {
    this.#update.persist(`archfarm: ${plainText(text)}`);
  }

  #redraw(): void {
    // One line is the cursor's, and one more keeps a full screen from scrolling.
    this.#update(this.#draw((this.#screen.rows ?? 24) - 2));
  }

  /** The last drawing stays; a second call changes nothing. */
  [Symbol.dispose](): void {
    if (this.#done) return;
    this.#done = true;
    clearInterval(this.#timer);
    this.#update.clear();
    const last = this.#draw(Infinity);
    if (last !== '') this.#screen.write(`${last}\n`);
    this.#update.done();
  }

  #draw(rows: number): string {
    const columns = this.#screen.columns ?? 80;
    return draw(this.#view, { columns, rows, now: performance.now(), paint: this.#paint }).join('\n');
  }
}

/** A terminal that is 0 by 0, as under `script` or `docker exec -t`, does not know its size; log-update asks, too. */
function sized(screen: Screen): Screen {
  return new Proxy(screen, {
    get(target, name) {
      if (name === 'rows') return target.rows || undefined;
      if (name === 'columns') return target.columns || undefined;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

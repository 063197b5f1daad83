/** How a build is shown while it runs: fed with every frame, and with what the client itself has to say. */
import type { Frame } from '../../../shared/progress.ts';

/** Disposing of it draws the last state and gives the terminal back. */
export interface Renderer extends Disposable {
  show(frame: Frame): void;
  /** A line from this command itself, which stays. */
  note(text: string): void;
}

/** The part of a writable stream, perhaps a terminal, that is drawn on. */
export interface Screen extends NodeJS.WritableStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

/** Environment variables. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** `NO_COLOR` as https://no-color.org has it. */
export function wantsColours(screen: Screen, environment: Variables): boolean {
  return screen.isTTY === true && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb';
}

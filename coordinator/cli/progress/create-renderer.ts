/** Chooses how a build is shown. */
import { PlainRenderer } from './plain.ts';
import { RawJsonRenderer } from './rawjson.ts';
import { wantsColours, type Renderer, type Screen, type Variables } from './renderer.ts';

export type ProgressMode = 'auto' | 'tty' | 'plain' | 'rawjson' | 'quiet';

/** `auto` redraws on a terminal, and prints line after line elsewhere. */
export async function createRenderer(
  mode: ProgressMode,
  on: { readonly screen: Screen; readonly environment: Variables },
): Promise<Renderer> {
  const { screen, environment } = on;
  const colours = wantsColours(screen, environment);
  switch (mode) {
    case 'auto':
      return createRenderer(isLively(screen, environment) ? 'tty' : 'plain', on);
    case 'tty': {
      const { TtyRenderer } = await import('./tty.ts');
      return new TtyRenderer(screen, { colours });
    }
    case 'plain':
      return new PlainRenderer(screen, { colours });
    case 'rawjson':
      return new RawJsonRenderer(screen);
    case 'quiet':
      return { show: () => {}, note: () => {}, [Symbol.dispose]: () => {} };
    default:
      return mode satisfies never;
  }
}

/** Whether a terminal redraws: CI systems give a TTY at times, but keep a log. */
function isLively(screen: Screen, environment: Variables): boolean {
  return screen.isTTY === true && !environment['CI'] && environment['TERM'] !== 'dumb';
}

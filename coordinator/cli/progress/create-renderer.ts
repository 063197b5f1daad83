/** Chooses how a build is shown. */
import { findCiSystem } from './ci/find-ci-system.ts';
import { isReadByRunner } from './ci/workflow-commands.ts';
import { PlainRenderer } from './plain.ts';
import { RawJsonRenderer } from './rawjson.ts';
import { wantsColours, type Renderer, type Screen, type Variables } from './renderer.ts';

export type ProgressMode = 'auto' | 'tty' | 'plain' | 'rawjson' | 'quiet';

export interface Surroundings {
  readonly screen: Screen;
  readonly environment: Variables;
  /** Whether output may be held back to come in the groups of a CI system's log; so it is unless said otherwise. */
  readonly grouped?: boolean;
}

/** `auto` redraws on a terminal, and prints line after line elsewhere. Throws `config` for an unknown `ARCHFARM_CI`. */
export async function createRenderer(mode: ProgressMode, on: Surroundings): Promise<Renderer> {
  const { screen, environment, grouped = true } = on;
  const colours = wantsColours(screen, environment);
  const guarded = isReadByRunner(environment);
  // Looked for in every mode: the end of the build is told to it too.
  const system = await findCiSystem(environment);
  switch (mode) {
    case 'auto':
      return createRenderer(isLively(screen, environment) ? 'tty' : 'plain', on);
    case 'tty': {
      const { TtyRenderer } = await import('./tty.ts');
      return new TtyRenderer(screen, { colours });
    }
    case 'plain': {
      if (system === undefined || !grouped) return new PlainRenderer(screen, { colours, guarded });
      const { GroupedRenderer } = await import('./grouped.ts');
      return new GroupedRenderer(screen, { colours, guarded, system });
    }
    case 'rawjson':
      return new RawJsonRenderer(screen, { guarded });
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

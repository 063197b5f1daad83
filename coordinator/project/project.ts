/** A project file, as those see it who look for something to build. */
import type { Environment } from './interpolate.ts';
import type { ProjectBuild } from './project-build.ts';

export interface Project {
  /** For messages. */
  readonly path: string;
  /** Variables as the file sees them. */
  readonly environment: Environment;
  /** Says which variables the parts read so far lacked. */
  readonly warnings: readonly string[];
  /** Names of what can be built, in the order of the file. */
  buildable(): Promise<readonly string[]>;
  /** Of those, what may be meant where nothing is named. */
  implied(): Promise<readonly string[]>;
  has(name: string): boolean;
  /** Throws `config` for what cannot be built, or is wrong: less names of the image where others were given. */
  build(name: string, tagsGiven?: boolean): Promise<ProjectBuild>;
}

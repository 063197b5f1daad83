/** What the CI systems that are known here understand in a log beside text. */
import type { BuildResult } from '../../../../shared/progress.ts';
import type { Failure } from '../failure-report.ts';

/** Lines that fold away under a title. */
export interface Group {
  readonly title: string;
  /** Clean of control sequences. */
  readonly lines: readonly string[];
  /** When what they tell of began and ended: milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
}

export interface CiSystem {
  /** Written at once: groups of these systems neither nest nor interleave. */
  group(group: Group): string;
  /** Lines that have the system's pages point at what failed. */
  annotations(failures: readonly Failure[], result: BuildResult): readonly string[];
  /** Puts the result on the page of the build. Throws when it cannot. */
  summarize(failures: readonly Failure[], result: BuildResult): Promise<void>;
}

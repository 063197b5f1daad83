/** GitLab CI: sections of a job's log that fold (https://docs.gitlab.com/ci/jobs/job_logs/). */
import type { CiSystem, Group } from './ci-system.ts';

const clear = '\u001B[0K';

export class GitLab implements CiSystem {
  #sections = 0;

  /** Output of builds cannot end one: a marker has an ESC and a carriage return in it, which cleaned lines have not. */
  group({ title, lines, from, to }: Group): string {
    this.#sections += 1;
    // Names are unique in a job, which may build more than once.
    const name = `archfarm_${Math.floor(from)}_${this.#sections}_${title.replace(/[^A-Za-z0-9]+/g, '-').slice(0, 40)}`;
    return [
      `${clear}section_start:${seconds(from)}:${name}[collapsed=true]\r${clear}${title}`,
      ...lines,
      `${clear}section_end:${seconds(to)}:${name}\r${clear}\n`,
    ].join('\n');
  }

  /** GitLab takes annotations from report files alone: the report of the failure, which names the line, is all there is. */
  annotations(): readonly string[] {
    return [];
  }

  async summarize(): Promise<void> {}
}

function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000);
}

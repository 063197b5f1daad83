/** BuildKit's step names, `[build 2/5] RUN make`, taken apart. */

export interface StepName {
  /** `2/5`, `build 2/5`, `internal`; empty for steps without. */
  readonly label: string;
  readonly text: string;
}

export function parseStepName(name: string): StepName {
  const [, label, text] = /^\[([^\]]*)\] (.*)$/s.exec(name) ?? [];
  return label === undefined || text === undefined ? { label: '', text: name } : { label, text };
}

/** Parser directives of a Dockerfile: `# name=value`, before everything else, an empty line included. */

export interface WantedDirective {
  /** In small letters, as directives may be written in any. */
  readonly name: string;
  /** What begins its line: frontends that read other languages take `//`. */
  readonly comment?: '#' | '//';
}

/** The first one of that name, as it is written after the equals sign; undefined where there is none. */
export function directiveOf(
  text: string,
  { name: wanted, comment = '#' }: WantedDirective,
): string | undefined {
  const line = new RegExp(
    `[^\\S\\n]*${comment}[^\\S\\n]*([A-Za-z][A-Za-z0-9]*)[^\\S\\n]*=([^\\n]*)(?:\\n|$)`,
    'y',
  );
  for (let found = line.exec(text); found !== null; found = line.exec(text)) {
    const [, name = '', value = ''] = found;
    if (name.toLowerCase() === wanted) return value;
  }
  return undefined;
}

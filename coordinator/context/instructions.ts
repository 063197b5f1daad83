/** A Dockerfile's instructions and where they stand, read as BuildKit's parser does (frontend/dockerfile/parser). */
import { directiveOf } from '../../shared/directive.ts';

export interface Instruction {
  /** Of its first line, counted from 1. */
  readonly line: number;
  /** In capitals. */
  readonly keyword: string;
  /** What follows the keyword, with its continuation lines joined. */
  readonly rest: string;
  readonly hasHeredoc: boolean;
}

/** Of a text that BuildKit refuses, what can be made out. */
export function readInstructions(dockerfile: string): Instruction[] {
  const text = dockerfile.replace(/^\uFEFF/, '');
  const escape = directiveOf(text, 'escape')?.trim() === '`' ? '`' : '\\';
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
  const instructions: Instruction[] = [];
  for (let next = 0; next < lines.length;) {
    const first = next;
    const start = lines[next++] ?? '';
    if (isNothing(start)) continue;
    let { part: joined, goesOn } = continued(start.trimStart(), escape);
    while (goesOn && next < lines.length) {
      const line = lines[next++] ?? '';
      // Neither a comment nor an empty line ends an instruction that goes on.
      if (isNothing(line)) continue;
      const more = continued(line, escape);
      joined += more.part;
      ({ goesOn } = more);
    }
    const [, keyword = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(joined.trim()) ?? [];
    if (keyword === '') continue;
    const heredocs = heredocsOf(keyword, rest);
    for (const { name, tabs } of heredocs) {
      while (next < lines.length) {
        const line = lines[next++] ?? '';
        if ((tabs ? line.replace(/^\t+/, '') : line) === name) break;
      }
    }
    instructions.push({
      line: first + 1,
      keyword: keyword.toUpperCase(),
      rest,
      hasHeredoc: heredocs.length > 0,
    });
  }
  return instructions;
}

function isNothing(line: string): boolean {
  return /^\s*(?:#|$)/.test(line);
}

/** The line without the character that has it go on; two of them are one that does not. */
function continued(line: string, escape: '\\' | '`'): { part: string; goesOn: boolean } {
  const trimmed = withoutBlanks(line);
  const goesOn = trimmed.endsWith(escape) && trimmed.at(-2) !== escape;
  return goesOn ? { part: trimmed.slice(0, -1), goesOn } : { part: line, goesOn };
}

/** A pattern for the end of a line is tried at every blank before it. */
function withoutBlanks(line: string): string {
  let end = line.length;
  while (line[end - 1] === ' ' || line[end - 1] === '\t') end -= 1;
  return line.slice(0, end);
}

function heredocsOf(keyword: string, rest: string): { name: string; tabs: boolean }[] {
  if (!/^(?:RUN|COPY|ADD)$/i.test(keyword)) return [];
  // A quote that nothing closes goes to the end, so that it is looked for once.
  const words = rest.match(/(?:[^\s"']+|"(?:\\[^]?|[^"\\])*(?:"|$)|'[^']*(?:'|$))+/g) ?? [];
  return words.flatMap((word) => {
    const [, dash, name] = /^\d*<<(-?)([^<]+)$/.exec(word) ?? [];
    return name === undefined ? [] : [{ name: name.replace(/["']/g, ''), tabs: dash === '-' }];
  });
}

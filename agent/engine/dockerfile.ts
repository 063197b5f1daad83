/**
 * A Dockerfile cut into its instructions, as BuildKit's parser does it, with the place of everything in the text, so
 * that a word can be replaced without touching the rest.
 */
import { directiveOf } from '../../shared/directive.ts';
import { HereDocumentEnds } from './heredoc-ends.ts';

export interface Instruction {
  /** In capitals. */
  readonly keyword: string;
  /** What follows the keyword, continuation lines joined. */
  readonly body: string;
  /** Place in the text of the instruction's first line. */
  readonly start: number;
  /** Places in the text of the characters of `body`. */
  readonly places: readonly number[];
}

interface Line {
  readonly start: number;
  /** Without the line feed. */
  readonly text: string;
}

/** Never throws: what is no instruction is left to the engine to complain about. */
export function parseInstructions(dockerfile: string): Instruction[] {
  const lines = linesOf(dockerfile);
  const escape = directiveOf(dockerfile, 'escape')?.trim() === '`' ? '`' : '\\';
  const ends = new HereDocumentEnds(lines.map(({ text }) => text));
  const instructions: Instruction[] = [];
  for (let next = 0; next < lines.length;) {
    const first = lines[next]!;
    if (isCommentOrBlank(first.text)) {
      next += 1;
      continue;
    }
    const { chars, places, after } = join(lines, next, escape);
    const [, indent = '', keyword = '', space = ''] = /^(\s*)(\S*)(\s*)/.exec(chars) ?? [];
    const bodyAt = indent.length + keyword.length + space.length;
    const body = chars.slice(bodyAt);
    instructions.push({
      keyword: keyword.toUpperCase(),
      body,
      start: first.start,
      places: places.slice(bodyAt),
    });
    next = afterHeredocs(ends, after, { keyword: keyword.toUpperCase(), body });
  }
  return instructions;
}

function linesOf(text: string): Line[] {
  // A byte order mark stays before everything.
  let start = text.startsWith('\uFEFF') ? 1 : 0;
  const lines = text.slice(start).split('\n');
  return lines.map((line) => {
    const found = { start, text: line };
    start += line.length + 1;
    return found;
  });
}

function isCommentOrBlank(line: string): boolean {
  return /^\s*(?:#|$)/.test(line);
}

/** Comments and empty lines within an instruction are no part of it. */
function join(
  lines: readonly Line[],
  first: number,
  escape: string,
): { chars: string; places: number[]; after: number } {
  let chars = '';
  const places: number[] = [];
  let at = first;
  for (; at < lines.length; at += 1) {
    const { start, text } = lines[at]!;
    if (at > first && isCommentOrBlank(text)) continue;
    const trimmed = text.trimEnd();
    const continues = trimmed.endsWith(escape) && trimmed.at(-2) !== escape;
    const part = continues ? trimmed.slice(0, -1) : text;
    chars += part;
    for (let index = 0; index < part.length; index += 1) places.push(start + index);
    if (!continues) break;
  }
  return { chars, places, after: at + 1 };
}

/** The line after the here-documents that an instruction begins; engines without them see none of this. */
function afterHeredocs(
  ends: HereDocumentEnds,
  after: number,
  { keyword, body }: Pick<Instruction, 'keyword' | 'body'>,
): number {
  if (!['RUN', 'COPY', 'ADD'].includes(keyword)) return after;
  let next = after;
  const beginnings = /(?<![<\w])\d*<<(-?)(?:(["'][^"'\s]+["'])|([^\s<>"'|&;()]+))/g;
  for (const [, dash, quoted, bare] of body.matchAll(beginnings)) {
    const word = quoted?.slice(1, -1) ?? bare ?? '';
    const found = ends.find({ word, indented: dash !== '' }, next);
    if (found === undefined) return next;
    next = found + 1;
  }
  return next;
}

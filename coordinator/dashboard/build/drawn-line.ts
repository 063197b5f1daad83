/** As much of a line as a page can draw many of: builds write lines of any length, and may colour every letter. */
import { spansOf, textOf, type Span } from './ansi.ts';
import { folded } from './log-lines.ts';

/** Part of a line that looks alike. */
export interface Piece extends Span {
  readonly isMarked: boolean;
}

export interface DrawnLine {
  readonly pieces: readonly Piece[];
  /** Characters that are not drawn. */
  readonly rest: number;
  /** Whether what is searched for is found in those alone. */
  readonly isFurther: boolean;
}

const mostCharacters = 4000;
const mostSpans = 400;
const mostMarks = 200;

/** `wanted` is what is searched for; empty for nothing. */
export function drawLine(line: string, wanted: string): DrawnLine {
  const spans = spansOf(line, { characters: mostCharacters, spans: mostSpans });
  const text = textOf(line);
  const drawn = spans.reduce((sum, span) => sum + span.text.length, 0);
  const marks = wanted === '' ? [] : marksIn(text.slice(0, drawn), wanted);
  return {
    pieces: cut(spans, marks),
    rest: text.length - drawn,
    isFurther:
      wanted !== '' && marks.length === 0 && drawn < text.length && folded(text).includes(folded(wanted)),
  };
}

interface Range {
  readonly from: number;
  readonly to: number;
}

function marksIn(text: string, wanted: string): Range[] {
  const [lower, needle] = [folded(text), folded(wanted)];
  const marks: Range[] = [];
  for (
    let from = lower.indexOf(needle);
    from !== -1 && marks.length < mostMarks;
    from = lower.indexOf(needle, from + needle.length)
  ) {
    marks.push({ from, to: from + needle.length });
  }
  return marks;
}

/** A match may begin in one colour and end in another. */
function cut(spans: readonly Span[], marks: readonly Range[]): Piece[] {
  const pieces: Piece[] = [];
  let next = 0;
  let begin = 0;
  for (const span of spans) {
    const end = begin + span.text.length;
    let at = begin;
    const add = (to: number, isMarked: boolean): void => {
      if (to > at) pieces.push({ ...span, text: span.text.slice(at - begin, to - begin), isMarked });
      at = Math.max(at, to);
    };
    for (let mark = marks[next]; mark !== undefined && mark.from < end; mark = marks[next]) {
      add(mark.from, false);
      add(Math.min(mark.to, end), true);
      if (mark.to > end) break;
      next += 1;
    }
    add(end, false);
    begin = end;
  }
  return pieces;
}

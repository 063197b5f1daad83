/** Text cut and filled to columns, measured as a terminal shows it (wide characters, colours). */
import stringWidth from 'string-width';

/** Spaces at the end up to `width` columns. */
export function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - stringWidth(text)));
}

const graphemes = new Intl.Segmenter();
// oxlint-disable-next-line no-control-regex -- a colour begins with one
const colour = /(\u001B\[[0-9;:]*m)/;

/** At most `width` columns of one line, with `…` where something is cut off. Colours are kept and closed. */
export function clip(text: string, width: number): string {
  let clipped = '';
  let used = 0;
  let coloured = false;
  // What is left when the line turns out to be too long for its last column.
  let shorter = '';
  for (const part of text.split(colour)) {
    if (colour.test(part)) {
      clipped += part;
      coloured = true;
      continue;
    }
    for (const { segment } of graphemes.segment(part)) {
      used += stringWidth(segment);
      if (used > width) return width < 1 ? '' : `${shorter}…${coloured ? '\u001B[0m' : ''}`;
      clipped += segment;
      if (used < width) shorter = clipped;
    }
  }
  return clipped;
}

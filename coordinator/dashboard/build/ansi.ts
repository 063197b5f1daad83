/** Colours of a line that a Sanitizer has cleaned: what is left of ECMA-48 in it is SGR. */

export interface Span {
  readonly text: string;
  /** Names for the style sheet, each `ansi-` and what it stands for. */
  readonly classes: readonly string[];
  /** Colours that have no name: `#rrggbb`. */
  readonly colour?: string | undefined;
  readonly background?: string | undefined;
}

interface Style {
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
  inverse: boolean;
  strike: boolean;
  /** 0 to 15, or `#rrggbb`. */
  colour: number | string | undefined;
  background: number | string | undefined;
}

// oxlint-disable-next-line no-control-regex -- that is what it is about
const sequence = /\u001B\[([0-9;:]*)m/g;

export interface Bounds {
  readonly characters: number;
  readonly spans: number;
}

const unbounded: Bounds = { characters: Infinity, spans: Infinity };

/** What of the line is within the bounds, from its beginning. */
export function spansOf(line: string, { characters, spans: most } = unbounded): Span[] {
  const style = plain();
  const spans: Span[] = [];
  let from = 0;
  let left = characters;
  const take = (text: string): void => {
    const taken = beginning(text, left);
    add(spans, taken, style);
    left -= text.length;
  };
  for (const match of line.matchAll(sequence)) {
    take(line.slice(from, match.index));
    if (left <= 0 || spans.length >= most) return spans;
    apply(style, match[1] ?? '');
    from = match.index + match[0].length;
  }
  take(line.slice(from));
  return spans;
}

/** Without half a character at its end. */
function beginning(text: string, most: number): string {
  if (text.length <= most) return text;
  return text.slice(0, most).replace(/[\uD800-\uDBFF]$/, '');
}

/** The line without its colours. */
export function textOf(line: string): string {
  return line.includes('\u001B') ? line.replaceAll(sequence, '') : line;
}

function plain(): Style {
  return {
    bold: false,
    dim: false,
    italic: false,
    underline: false,
    inverse: false,
    strike: false,
    colour: undefined,
    background: undefined,
  };
}

function add(spans: Span[], text: string, style: Style): void {
  if (text === '') return;
  const flags = ['bold', 'dim', 'italic', 'underline', 'inverse', 'strike'] as const;
  const { colour, background } = style;
  const classes: string[] = flags.filter((flag) => style[flag]).map((flag) => `ansi-${flag}`);
  if (typeof colour === 'number') classes.push(`ansi-fg-${colour}`);
  if (typeof background === 'number') classes.push(`ansi-bg-${background}`);
  spans.push({
    text,
    classes,
    ...(typeof colour === 'string' ? { colour } : {}),
    ...(typeof background === 'string' ? { background } : {}),
  });
}

function apply(style: Style, sequenceParameters: string): void {
  const parameters = sequenceParameters.split(';');
  for (let index = 0; index < parameters.length; index += 1) {
    const [code = 0, ...own] = (parameters[index] ?? '').split(':').map(Number);
    if (code !== 38 && code !== 48) {
      applyOne(style, code, own[0]);
      continue;
    }
    const { colour, used } =
      own.length > 0
        ? { colour: ofParts(own), used: 0 }
        : extended(parameters.slice(index + 1).map((parameter) => Number.parseInt(parameter, 10) || 0));
    if (code === 38) style.colour = colour;
    else style.background = colour;
    index += used;
  }
}

/** `kind` as in `4:3`: the way a line is drawn, 0 for none. */
function applyOne(style: Style, code: number, kind?: number): void {
  if (code === 0) Object.assign(style, plain());
  else if (code === 1) style.bold = true;
  else if (code === 2) style.dim = true;
  else if (code === 3) style.italic = true;
  else if (code === 4) style.underline = kind !== 0;
  else if (code === 7) style.inverse = true;
  else if (code === 9) style.strike = true;
  else if (code === 22) Object.assign(style, { bold: false, dim: false });
  else if (code === 23) style.italic = false;
  else if (code === 24) style.underline = false;
  else if (code === 27) style.inverse = false;
  else if (code === 29) style.strike = false;
  else if (code >= 30 && code <= 37) style.colour = code - 30;
  else if (code === 39) style.colour = undefined;
  else if (code >= 40 && code <= 47) style.background = code - 40;
  else if (code === 49) style.background = undefined;
  else if (code >= 90 && code <= 97) style.colour = code - 82;
  else if (code >= 100 && code <= 107) style.background = code - 92;
}

/** As ITU T.416 has it, within one parameter: `5:N`, or `2:SPACE:R:G:B`, whose space is mostly empty and often left out. */
function ofParts([kind, ...rest]: readonly number[]): number | string | undefined {
  if (kind === 5) return ofPalette(rest[0] ?? 0);
  if (kind !== 2 || rest.length < 3) return undefined;
  return hex(rest.length === 3 ? rest : rest.slice(1, 4));
}

/** What follows 38 and 48: `5;N` of the 256, or `2;R;G;B`. */
function extended([kind, ...rest]: readonly number[]): {
  readonly colour: number | string | undefined;
  readonly used: number;
} {
  if (kind === 5) return { colour: ofPalette(rest[0] ?? 0), used: 2 };
  if (kind === 2) return { colour: hex(rest.slice(0, 3)), used: 4 };
  return { colour: undefined, used: kind === undefined ? 0 : 1 };
}

/** xterm's: 16 named ones, a cube of six steps, and greys. */
function ofPalette(number: number): number | string | undefined {
  if (number < 16) return number;
  if (number > 255) return undefined;
  if (number >= 232) return hex(Array.from({ length: 3 }, () => 8 + 10 * (number - 232)));
  const steps = [Math.floor((number - 16) / 36), Math.floor((number - 16) / 6) % 6, (number - 16) % 6];
  return hex(steps.map((step) => (step === 0 ? 0 : 55 + 40 * step)));
}

function hex(parts: readonly number[]): string {
  return `#${byte(parts[0])}${byte(parts[1])}${byte(parts[2])}`;
}

function byte(value = 0): string {
  return Math.min(255, value).toString(16).padStart(2, '0');
}

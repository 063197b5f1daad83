/**
 * Output of builds is written by strangers: on its way to a terminal everything that could move the cursor, set a
 * title, write the clipboard or hide text is taken out. Colours (SGR) may stay. Grammar: ECMA-48, as xterm reads it.
 */

/** What a sequence that has begun is still waiting for. */
type State = 'text' | 'escape' | 'intermediate' | 'csi' | 'string' | 'string-escape';

/** Characters of a line that is held back until it ends; a longer one is broken. */
const maxLine = 64 * 1024;
/** Characters of a colour sequence, and of all colours in force, that somebody could mean. */
const maxColour = 64;
const maxStyle = 256;

const reset = '\u001B[0m';
/** The one-character (C1) forms of the introducers, as what would follow ESC. */
const c1Introducers: Readonly<Record<string, string>> = {
  '\u0090': 'P',
  '\u0098': 'X',
  '\u009B': '[',
  '\u009D': ']',
  '\u009E': '^',
  '\u009F': '_',
};

/** Cleans one stream of text, which may be cut anywhere. */
export class Sanitizer {
  readonly #colours: boolean;
  #state: State = 'text';
  #parameters = '';
  #line = '';
  /** Colours in force where the current line began, and now. */
  #style = '';
  #overwrite = false;

  constructor(options: { readonly colours: boolean }) {
    this.#colours = options.colours;
  }

  /** The lines that `chunk` completes. */
  push(chunk: string): string[] {
    const lines: string[] = [];
    for (const character of chunk) {
      // A sequence never swallows more than its line, whoever forgot to end it.
      if (character === '\n') {
        lines.push(this.#endLine());
      } else {
        this.#take(character);
        if (this.#line.length >= maxLine) lines.push(this.#endLine());
      }
    }
    return lines;
  }

  /** What is left of a line that was never ended. */
  flush(): string[] {
    return this.#line === this.#style && !this.#overwrite ? [] : [this.#endLine()];
  }

  #endLine(): string {
    const line = this.#style === '' && !this.#line.includes('\u001B') ? this.#line : this.#line + reset;
    this.#state = 'text';
    this.#overwrite = false;
    this.#line = this.#style;
    return line;
  }

  #take(character: string): void {
    if (character === '\u0018' || character === '\u001A') {
      this.#state = 'text';
      return;
    }
    if (character === '\u001B') {
      this.#state = this.#state === 'string' ? 'string-escape' : 'escape';
      return;
    }
    switch (this.#state) {
      case 'text':
        this.#takeText(character);
        return;
      case 'escape':
        this.#introduce(character);
        return;
      case 'string-escape':
        // ESC \ ends a string; any other ESC begins the next sequence, which ends the string too.
        if (character === '\\') this.#state = 'text';
        else this.#introduce(character);
        return;
      case 'intermediate':
        if (character >= '0') this.#state = 'text';
        return;
      case 'csi':
        this.#takeCsi(character);
        return;
      case 'string':
        if (character === '\u0007' || character === '\u009C') this.#state = 'text';
        return;
      default:
        this.#state satisfies never;
    }
  }

  #takeText(character: string): void {
    const introducer = c1Introducers[character];
    if (introducer !== undefined) {
      this.#introduce(introducer);
    } else if (character === '\r') {
      // What follows overwrites the line, unless it is the end of it.
      this.#overwrite = true;
    } else if (character === '\t' || !isControl(character)) {
      if (this.#overwrite) this.#line = this.#style;
      this.#overwrite = false;
      this.#line += character;
    }
  }

  #introduce(character: string): void {
    if (character === '[') {
      this.#state = 'csi';
      this.#parameters = '';
    } else if ('P]X^_'.includes(character)) {
      this.#state = 'string';
    } else {
      this.#state = character >= ' ' && character <= '/' ? 'intermediate' : 'text';
    }
  }

  #takeCsi(character: string): void {
    if (character < '@' || character > '~') {
      if (this.#parameters.length <= maxColour) this.#parameters += character;
      return;
    }
    this.#state = 'text';
    if (character === 'm') this.#colour(this.#parameters);
  }

  #colour(parameters: string): void {
    if (!this.#colours || parameters.length > maxColour || !/^[0-9;:]*$/.test(parameters)) return;
    const sequence = `\u001B[${parameters}m`;
    if (/^0*$/.test(parameters)) this.#style = '';
    else if (this.#style.length < maxStyle) this.#style += sequence;
    this.#line += sequence;
  }
}

function isControl(character: string): boolean {
  return character < ' ' || (character >= '\u007F' && character <= '\u009F') || reorders(character);
}

/** Embeddings, overrides and isolates of UAX 9: `exe.gpj` reads as `jpg.exe`. */
function reorders(character: string): boolean {
  return (character >= '\u202A' && character <= '\u202E') || (character >= '\u2066' && character <= '\u2069');
}

/** One text on one line, with nothing in it that a terminal acts on: for names and messages from elsewhere. */
export function plainText(text: string): string {
  const sanitizer = new Sanitizer({ colours: false });
  const lines = [...sanitizer.push(text), ...sanitizer.flush()];
  return lines.join(' ');
}

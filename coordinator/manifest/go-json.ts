/** JSON as Go's encoder prints it, which is what scripts that read `docker manifest inspect` were written against. */

/** As `json.MarshalIndent` with tabs: HTML characters come escaped. */
export function marshalIndent(value: unknown): string {
  return JSON.stringify(value, null, '\t').replace(/[<>&\u2028\u2029]/g, escape);
}

function escape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

const tokens = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** As `json.Indent` with tabs: only white space changes, so that strings and numbers stay as they were written. */
export function indent(text: string): string {
  let depth = 0;
  let out = '';
  let previous = '';
  const newline = (): string => `\n${'\t'.repeat(depth)}`;
  for (const [token] of text.matchAll(tokens)) {
    const closes = token === '}' || token === ']';
    const afterOpening = previous === '{' || previous === '[';
    if (closes) depth--;
    // An empty object or list stays on its line.
    if (closes !== afterOpening || previous === ',') out += newline();
    out += token === ':' ? ': ' : token;
    if (token === '{' || token === '[') depth++;
    previous = token;
  }
  return out;
}

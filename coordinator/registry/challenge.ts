/**
 * The challenges of a `WWW-Authenticate` header. A registry writes it, so the scanner is linear, bounded, and passes
 * over what it does not understand.
 */

export interface Challenge {
  /** Lower case: `bearer`, `basic`. */
  readonly scheme: string;
  /** Names in lower case; of a repeated one, the first. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Characters of a header that are looked at. Real ones are below 1 KiB. */
const maxLength = 8 * 1024;
const maxChallenges = 16;
const maxParameters = 32;

const token = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const quoted = /"((?:[^"\\]|\\.)*)"/sy;
const space = /[ \t]*/y;

/** Reads one header, or several joined with commas. */
export function parseChallenges(header: string): Challenge[] {
  const text = header.slice(0, maxLength);
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  while (at < text.length) {
    const name = take(token)?.[0].toLowerCase();
    if (name === undefined) {
      at++;
      continue;
    }
    const afterName = at;
    take(space);
    if (text[at] !== '=') {
      // A word that no `=` follows begins the next challenge.
      if (challenges.length === maxChallenges) break;
      challenges.push({ scheme: name, parameters: new Map() });
      at = afterName;
      continue;
    }
    at++;
    take(space);
    const value = take(quoted)?.[1]?.replace(/\\(.)/gs, '$1') ?? take(token)?.[0];
    const parameters = challenges.at(-1)?.parameters;
    if (value === undefined || parameters === undefined) continue;
    if (parameters.size < maxParameters && !parameters.has(name)) parameters.set(name, value);
  }
  return challenges;
}

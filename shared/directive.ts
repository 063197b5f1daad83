/** Parser directives of a Dockerfile: `# name=value`, before everything else, an empty line included. */

const docker = new RegExp(`${directive('#')}(?:\\n|$)`, 'uy');
const anyVersion = new RegExp(`(?:#![^\\n]*|${directive('#|//')})(?:\\n|$)`, 'uy');

/** The first one of that name, given in small letters, as it is written after the equals sign. */
export function directiveOf(text: string, name: string): string | undefined {
  for (const found of directives(text, docker)) if (found.name === name) return found.value;
  return undefined;
}

/**
 * All of that name which some version of BuildKit sees: the first or the last counts there, frontends that read other
 * languages have them after `//`, and one version took both marks and passed over `#!` wherever it stood.
 */
export function directivesOf(text: string, name: string): string[] {
  const values: string[] = [];
  for (const found of directives(text, anyVersion)) if (found.name === name) values.push(found.value);
  return values;
}

function directive(marks: string): string {
  // What is a space for Go or for JavaScript, but for the line feed.
  const spaces = '[\\t\\v\\f\\r\\u0085\\uFEFF\\p{Z}]*';
  return `${spaces}(?:${marks})${spaces}([A-Za-z][A-Za-z0-9]*)${spaces}=([^\\n]*)`;
}

function* directives(
  text: string,
  line: RegExp,
): Iterable<{ readonly name: string; readonly value: string }> {
  let at = 0;
  for (;;) {
    line.lastIndex = at;
    const found = line.exec(text);
    if (found === null) return;
    at = line.lastIndex;
    const [, name = '', value = ''] = found;
    yield { name: name.toLowerCase(), value };
  }
}

/** Standard output of the commands: what was asked for, and nothing else. */

/** Writes lines; the last one is ended too. */
export function print(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}

/** Writes a value as JSON that people can read as well. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, undefined, 2));
}

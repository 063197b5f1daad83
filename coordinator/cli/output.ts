/** What commands write: to standard output what was asked for and nothing else, to standard error what else people should know. */
import { guardJson, guardIn, isReadByRunner } from './progress/ci/workflow-commands.ts';

/** Writes lines of text; the last one is ended too. */
export function print(text: string): void {
  process.stdout.write(guardIn(process.env, ended(text)));
}

/** Writes a value as JSON that people can read as well. */
export function printJson(value: unknown): void {
  const json = JSON.stringify(value, undefined, 2);
  print(isReadByRunner(process.env) ? guardJson(json) : json);
}

/** Writes lines of text to standard error. */
export function say(text: string): void {
  process.stderr.write(guardIn(process.env, ended(text)));
}

function ended(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`;
}

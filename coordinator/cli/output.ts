/** What commands write: to standard output what was asked for and nothing else, to standard error what else people should know. */
import { once } from 'node:events';
import { untilAborted } from '../../shared/abort.ts';
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

/** Lines of more text than one has at a time: no more is asked for before the reader has taken what there is. */
export async function printAll(texts: AsyncIterable<string>, signal: AbortSignal): Promise<void> {
  for await (const text of texts) await taken(guardIn(process.env, ended(text)), signal);
}

/** The array that holds all of these, as `printJson` writes it. */
export async function printJsonPages(
  pages: AsyncIterable<readonly unknown[]>,
  signal: AbortSignal,
): Promise<void> {
  let isEmpty = true;
  for await (const page of pages) {
    const texts = page.map((value) => JSON.stringify([value], undefined, 2).slice(1, -2));
    if (texts.length === 0) continue;
    const json = `${isEmpty ? '[' : ','}${texts.join(',')}`;
    isEmpty = false;
    await taken(isReadByRunner(process.env) ? guardJson(json) : json, signal);
  }
  await taken(isEmpty ? '[]\n' : '\n]\n', signal);
}

/** Resolves when there is room for more. */
async function taken(text: string, signal: AbortSignal): Promise<void> {
  if (!process.stdout.write(text)) await untilAborted(once(process.stdout, 'drain'), signal);
}

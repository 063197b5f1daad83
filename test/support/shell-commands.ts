/** What a shell would start of a text, word by word: the shell itself says so, and starts none of it. */
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { temporaryDirectory } from './temporary-directory.ts';

export interface ShellCommand {
  readonly program: string;
  readonly args: readonly string[];
}

/**
 * In the order in which they are reached, those in `$(…)` and `<(…)` included, and without their `sudo`; the parts of a pipe
 * come in any order. Every one succeeds and prints nothing. `scripts` are those that the text may name by a path, as it names
 * them. Throws where the shell finds no sense, or no such script.
 */
export async function shellCommands(text: string, scripts: readonly string[] = []): Promise<ShellCommand[]> {
  if (/>\s*\/(?!dev\/null\b)/.test(text))
    throw new Error(`this would write outside of its directory: ${text}`);
  await using directory = await temporaryDirectory();
  const home = `${directory.path}/home`;
  await mkdir(home);
  const records = `${directory.path}/records`;
  await writeFile(records, '');
  const script = `${directory.path}/script`;
  await writeFile(script, `${prelude(records, scripts)}\n${text}\n`);
  // Without a PATH nothing is found.
  const env = { PATH: '/nonexistent', HOME: home };
  const { stderr } = await promisify(execFile)('/bin/bash', ['--norc', script], { cwd: home, env }).catch(
    (error: { readonly stderr: string }) => error,
  );
  if (stderr !== '') throw new Error(`the shell says of ${text}: ${stderr}`);
  const started = (await readFile(records, 'utf8')).split(endOfCommand).slice(0, -1);
  return started.map((record) => {
    const words = record.split(endOfWord).slice(0, -1);
    const [program = '', ...args] = words[0] === 'sudo' ? words.slice(1) : words;
    return { program, args };
  });
}

const endOfWord = '\u001F';
const endOfCommand = '\u001E';

/** A record is one write, as the parts of a pipe write at the same time. */
function prelude(records: string, scripts: readonly string[]): string {
  const own = ['cd', 'kill', ...scripts];
  return [
    `record() { local line; printf -v line '%s${endOfWord}' "$@"; printf '%s${endOfCommand}' "$line" >>'${records}'; }`,
    'command_not_found_handle() { record "$@"; }',
    ...own.map((name) => `${name}() { record ${name} "$@"; }`),
  ].join('\n');
}

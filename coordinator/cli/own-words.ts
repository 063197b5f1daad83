/**
 * What a command has to say of itself on standard error: lines for people, or, with `--progress rawjson`, events for
 * programs. These are no events of a build, and have neither `seq` nor `build`.
 */
import { ArchfarmError, messageOf, toErrorInfo } from '../../shared/errors.ts';
import { guardJson, isReadByRunner } from './progress/ci/workflow-commands.ts';
import { plainText } from './progress/sanitize.ts';
import { say } from './output.ts';

/** Of this process, as its standard error is. */
let asEvents = false;

export interface ProgressFlags {
  readonly progress?: unknown;
  readonly quiet?: unknown;
}

/** Once the command line is understood; before that, mistakes in it are told to people. */
export function speakAs({ progress, quiet }: ProgressFlags): void {
  asEvents = progress === 'rawjson' && quiet !== true;
}

export function warn(message: string): void {
  if (asEvents) writeEvent({ type: 'warning', message });
  else say(`archfarm: WARNING: ${plainText(message)}`);
}

/** What a command failed of. */
export function sayError(error: unknown): void {
  const stack = process.env['ARCHFARM_DEBUG'] === '1' && error instanceof Error ? error.stack : undefined;
  if (asEvents) return writeEvent({ type: 'error', error: toErrorInfo(error), stack });
  // Messages may repeat what a registry or an engine said.
  const lines = [`archfarm: ${plainText(messageOf(error))}`];
  if (error instanceof ArchfarmError && error.hint !== undefined) lines.push(`  ${plainText(error.hint)}`);
  if (stack !== undefined) lines.push(stack);
  say(lines.join('\n'));
}

function writeEvent(event: Readonly<Record<string, unknown>>): void {
  const line = JSON.stringify({ time: Date.now(), ...event });
  process.stderr.write(`${isReadByRunner(process.env) ? guardJson(line) : line}\n`);
}

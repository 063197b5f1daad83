/** `archfarm`: the only place of this command that prints errors and sets the exit status. */
import { CommanderError } from 'commander';
import { ArchfarmError, messageOf, systemCode } from '../shared/errors.ts';
import { plainText } from './cli/progress/sanitize.ts';
import { createProgram } from './cli/program.ts';

/** Prints what went wrong and gives the exit status. */
function report(error: unknown): number {
  // commander has printed its own errors, help and version already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  // Messages may repeat what a registry or an engine said.
  const lines = [`archfarm: ${plainText(messageOf(error))}`];
  if (error instanceof ArchfarmError && error.hint !== undefined) lines.push(`  ${plainText(error.hint)}`);
  if (process.env['ARCHFARM_DEBUG'] === '1' && error instanceof Error) lines.push(error.stack ?? '');
  process.stderr.write(`${lines.join('\n')}\n`);
  return error instanceof ArchfarmError ? error.exitStatus : 3;
}

/** A reader that closes our output early (`archfarm logs … | head`) has what it wanted. */
function endQuietly(error: Error): void {
  if (systemCode(error) !== 'EPIPE') throw error;
  process.exit();
}

async function main(): Promise<void> {
  const interrupted = new AbortController();
  // Once: whoever interrupts a second time does not want to wait for the end of what the first time began.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => interrupted.abort(new ArchfarmError('cancelled', `interrupted (${name})`)));
  }
  process.stdout.on('error', endQuietly);
  process.stderr.on('error', () => {});
  process.on('uncaughtException', (error) => process.exit(report(error)));

  const program = createProgram({
    signal: interrupted.signal,
    exit: (status) => {
      process.exitCode = status;
    },
  });
  try {
    await program.parseAsync();
  } catch (error) {
    process.exitCode = report(error);
  }
}

await main();

/** `archfarm`, whichever of its commands a process knows: the only place that prints errors and sets the exit status. */
import { CommanderError, type Command } from 'commander';
import { ArchfarmError, exitStatusOf, systemCode } from '../../shared/errors.ts';
import type { ProgramContext } from './command-parts.ts';
import { Interrupts } from './interrupts.ts';
import { sayError, speakAs } from './own-words.ts';

/** Prints what went wrong and gives the exit status. */
function report(error: unknown): number {
  // commander has printed its own errors, help and version already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const told = isOfCwd(error) ? directoryGone(error) : error;
  sayError(told);
  return told instanceof ArchfarmError ? told.exitStatus : 3;
}

/** `process.cwd()` may be called by any library. */
function isOfCwd(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error && error.syscall === 'uv_cwd';
}

function directoryGone(error: Error): ArchfarmError {
  const what = systemCode(error) === 'ENOENT' ? 'was removed' : `cannot be told: ${error.message}`;
  return new ArchfarmError('config', `the current directory ${what}`, {
    hint: 'change into one that is there: cd "$PWD" goes to a new one of that name',
  });
}

/** These do more than print: they go on without a reader, and their status tells how it ended. */
const ownEnd = new Set(['build', 'attach', 'retry', 'amend', 'verify', 'doctor', 'push', 'pushml']);

/** A reader that closes our output early (`archfarm logs … | head`) has what it wanted. */
function endQuietly(error: Error): void {
  if (systemCode(error) !== 'EPIPE') throw error;
  process.exit();
}

/** What is written after that goes nowhere. */
function goOn(error: Error): void {
  if (systemCode(error) !== 'EPIPE') throw error;
}

/** To its end: nothing is thrown. */
export async function runProgram(create: (context: ProgramContext) => Command): Promise<void> {
  const interrupts = new Interrupts();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (!interrupts.take(name)) process.exit(exitStatusOf.cancelled);
    });
  }
  process.stdout.on('error', endQuietly);
  process.stderr.on('error', () => {});
  process.on('uncaughtException', (error) => process.exit(report(error)));
  process.once('beforeExit', unsettled);

  const program = create({
    signal: interrupts.signal,
    second: () => interrupts.second(),
    exit: (status) => {
      process.exitCode = status;
    },
  });
  program.hook('preAction', (_program, command) => {
    speakAs(command.optsWithGlobals());
    if (ownEnd.has(command.name())) process.stdout.off('error', endQuietly).on('error', goOn);
  });
  try {
    await program.parseAsync();
  } catch (error) {
    process.exitCode = report(error);
  } finally {
    process.off('beforeExit', unsettled);
  }
}

/** What the command waited for can come no more; without this it would look like a success. */
function unsettled(): void {
  process.exitCode = exitStatusOf.internal;
}

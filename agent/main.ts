/** `archfarm-agent`: the only place of the agent that prints errors. */
import { CommanderError } from 'commander';
import { ArchfarmError, messageOf } from '../shared/errors.ts';
import { tellParent } from './parent.ts';
import { createProgram } from './program.ts';

async function main(): Promise<void> {
  try {
    await createProgram().parseAsync();
  } catch (error) {
    process.exitCode = report(error);
  }
}

/** Prints what went wrong and gives the exit status. */
function report(error: unknown): number {
  // commander has printed its own errors, help and version already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (tellParent(error)) return exitStatus(error);
  process.stderr.write(`archfarm-agent: ${messageOf(error)}\n`);
  if (error instanceof ArchfarmError && error.hint !== undefined) process.stderr.write(`  ${error.hint}\n`);
  if (process.env['ARCHFARM_DEBUG'] === '1' && error instanceof Error)
    process.stderr.write(`${error.stack}\n`);
  return exitStatus(error);
}

function exitStatus(error: unknown): number {
  return error instanceof ArchfarmError ? error.exitStatus : 3;
}

void main();

import type { Command } from 'commander';
import type { ProgramContext } from './command-parts.ts';
import { createRoot } from './root.ts';
import { addRegistryCommands } from './registry-commands.ts';

/** As `createProgram`, with the commands that speak to registries and to nobody else. */
export function createRegistryProgram(context: ProgramContext): Command {
  const program = createRoot();
  addRegistryCommands(program, context);
  return program;
}

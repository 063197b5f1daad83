/** `archfarm` for commands that speak to registries alone: a part of the program, because it starts in less time. */
import { createRegistryProgram } from './cli/registry-program.ts';
import { runProgram } from './cli/run-program.ts';

void runProgram(createRegistryProgram);

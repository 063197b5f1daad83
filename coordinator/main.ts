/** `archfarm`, with all of its commands. */
import { createProgram } from './cli/program.ts';
import { runProgram } from './cli/run-program.ts';

void runProgram(createProgram);

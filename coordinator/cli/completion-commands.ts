/** `archfarm completion SHELL`, and what its scripts ask. */
import { Argument, type Command } from 'commander';
import { example, globalOptions, type ProgramContext } from './command-parts.ts';
import { completionScripts, shells, type Shell } from './completion-scripts.ts';

export function addCompletion(program: Command, { signal }: ProgramContext): void {
  program
    .command('completion')
    .description('print what makes a shell complete commands, flags, apps, agents and builds')
    .addArgument(new Argument('<shell>', 'bash, zsh or fish').choices(shells))
    .addHelpText('after', example('source <(archfarm completion bash)'))
    .action((shell: Shell) => void process.stdout.write(completionScripts[shell]));
  program
    .command('__complete', { hidden: true })
    .argument('[words...]')
    .action(async (words: readonly string[], _flags: unknown, command: Command) => {
      const { complete, liveSources } = await import('./completion.ts');
      const found = await complete(program, words, liveSources(globalOptions(command, signal)));
      process.stdout.write(found.map((word) => `${word}\n`).join(''));
    });
}

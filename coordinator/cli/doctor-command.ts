/** The flags of `archfarm doctor`. */
import type { Command } from 'commander';
import { example, globalOptions, type ProgramContext } from './command-parts.ts';
import { addRegistryFlags, type RegistryFlags } from './registry-options.ts';

export function addDoctor(program: Command, { signal, exit }: ProgramContext): void {
  const doctor = program
    .command('doctor')
    .description('look for what would keep a build from succeeding, and say what to do')
    .argument('[name|ref]', 'service of the project file, or image: may it be pushed?')
    .option('--json', 'as JSON')
    .addHelpText('after', example('archfarm doctor registry.example/onap/py-app'))
    .action(async (target: string | undefined, registry: RegistryFlags, command: Command) => {
      const { runDoctor } = await import('./doctor.ts');
      exit(await runDoctor(target, { registry, global: globalOptions(command, signal) }));
    });
  addRegistryFlags(doctor, ' (without a coordinator)');
}

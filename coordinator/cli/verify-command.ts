/** The flags of `archfarm verify`. */
import type { Command } from 'commander';
import { collect } from './collect.ts';
import { example, globalOptions, type ProgramContext } from './command-parts.ts';
import { addRegistryFlags, type RegistryFlags } from './registry-options.ts';

export interface VerifyCommandFlags extends RegistryFlags {
  readonly run?: string;
  readonly platform?: readonly string[];
  readonly timeout?: string;
  readonly network?: boolean;
  readonly allowEmulation?: boolean;
  readonly waitAgent?: string;
}

export function addVerify(program: Command, { signal, exit }: ProgramContext): void {
  const verify = program
    .command('verify')
    .description('have an agent of every platform that an image lists pull it by digest and run it')
    .argument('<ref>', 'image reference')
    .option('--run <command>', 'what to run instead of what the image starts by itself')
    .option('--platform <list>', 'only these of its platforms', collect)
    .option('--timeout <duration>', 'time that it has on each (default: 10m)')
    .option('--network', "give it the engine's default network")
    .option('--allow-emulation', 'let agents run platforms that are not their own, where there is no other')
    .option('--wait-agent <duration>', 'how long to wait for an agent of a platform (default: 15s)')
    .option('--json', 'as JSON')
    .addHelpText('after', example("archfarm verify registry.example/onap/py-app --run 'uname -m'"))
    .action(async (reference: string, flags: VerifyCommandFlags, command: Command) => {
      const { runVerify } = await import('./verify.ts');
      exit(await runVerify(reference, flags, globalOptions(command, signal)));
    });
  addRegistryFlags(verify, ' (without a coordinator)');
}

/** The commands that go on from a build that has ended, and their flags. */
import type { Command } from 'commander';
import { collect } from './collect.ts';
import { example, globalOptions, progressOption, type ProgramContext } from './command-parts.ts';
import type { FollowUpOptions } from './follow-up.ts';

export function addFollowUpCommands(program: Command, context: ProgramContext): void {
  const { signal, second, exit } = context;
  const retry = program
    .command('retry')
    .description('build again what failed of a build, and publish it with what did not')
    .argument('<id>', 'build; the first characters of its id are enough')
    .action(async (id: string, flags: FollowUpFlags, command: Command) => {
      const { runRetry } = await import('./retry.ts');
      const global = globalOptions(command, signal);
      exit(await runRetry(id, await readOptions(flags, global.quiet), { ...global, second }));
    });
  addFlags(retry).addHelpText('after', example('archfarm retry 3k7q'));
  const amend = program
    .command('amend')
    .description('build one more platform of a published build, and add it to its list')
    .argument('<id|ref>', 'build, or what a build published')
    .option('--platform <list>', 'platforms to add, like linux/s390x', collect)
    .option('--allow-emulation', 'let agents build platforms that are not their own')
    .action(async (target: string, flags: FollowUpFlags, command: Command) => {
      const { runAmend } = await import('./amend.ts');
      const global = globalOptions(command, signal);
      exit(await runAmend(target, await readOptions(flags, global.quiet), { ...global, second }));
    });
  addFlags(amend).addHelpText('after', example('archfarm amend onap/py-app --platform linux/s390x'));
}

interface FollowUpFlags {
  readonly context?: string;
}

async function readOptions(flags: FollowUpFlags, quiet: boolean): Promise<FollowUpOptions> {
  const { readBuildOptions } = await import('./build-options.ts');
  const build = readBuildOptions(flags, { cwd: process.cwd(), environment: process.env });
  return { build, context: flags.context, quiet };
}

function addFlags(command: Command): Command {
  return command
    .option(
      '--context <path>',
      'its context, where the coordinator keeps it no more (default: as archfarm build finds it by its name)',
    )
    .option('-f, --file <dockerfile>', 'its Dockerfile, likewise')
    .option('--build-context <name=directory>', 'an additional context, likewise, repeatable', collect)
    .option('--project <file>', 'project file (default: compose.yaml here or above)')
    .option('--secret <spec>', 'a secret of the build again: id=ID[,src=FILE|,env=VAR], repeatable', collect)
    .option('--ssh <id[=socket]>', 'an ssh agent of the build again, repeatable', collect)
    .addOption(progressOption())
    .option('--metadata-file <file>', 'write the result as JSON')
    .option('--iidfile <file>', 'write the digest of the published image');
}

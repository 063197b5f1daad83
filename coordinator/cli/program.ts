/** The commands of `archfarm` and their flags. What a command does is loaded when it is called. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { buildStatuses } from '../../shared/progress.ts';
import { addAgentCommands } from './agent-commands.ts';
import { addAuditCommands } from './audit-commands.ts';
import type { BuildsOptions } from './builds.ts';
import { collect } from './collect.ts';
import { example, globalOptions, oneOf, progressOption, type ProgramContext } from './command-parts.ts';
import { addCompletion } from './completion-commands.ts';
import { addDoctor } from './doctor-command.ts';
import { addFollowUpCommands } from './follow-up-commands.ts';
import type { ProgressMode } from './progress/create-renderer.ts';
import { addRegistryCommands } from './registry-commands.ts';
import { addRegistryFlags } from './registry-options.ts';
import { createRoot } from './root.ts';
import { addServe } from './serve-command.ts';
import { addUserCommands } from './user-commands.ts';
import { addVerify } from './verify-command.ts';

/** The command line's parser; commander's own errors are thrown after they were printed. */
export function createProgram(context: ProgramContext): Command {
  const program = createRoot();
  addBuild(program, context);
  addServe(program, context);
  addAgentCommands(program, context);
  addBuildCommands(program, context);
  addAttach(program, context);
  addFollowUpCommands(program, context);
  addRegistryCommands(program, context);
  addVerify(program, context);
  addUserCommands(program, context);
  addAuditCommands(program, context);
  addDoctor(program, context);
  addCompletion(program, context);
  return program;
}

function addBuild(program: Command, { signal, second, exit }: ProgramContext): void {
  const build = program
    .command('build')
    .description('build an image for every platform and publish them as one')
    .argument(
      '[name|path]',
      'service or bake target of the project file, directory, tar file, git URL, or - for a tar or Dockerfile on stdin',
    )
    .option('-t, --tag <ref>', 'name of the image, repeatable', collect)
    .option(
      '-f, --file <dockerfile>',
      'Dockerfile, or - for stdin (default: that of the project file, or Dockerfile)',
    )
    .option('--platform <list>', 'platforms to build, like linux/amd64,linux/arm64', collect)
    .option(
      '--optional <platform>',
      'platform that may be missing in the end (status 5), repeatable',
      collect,
    )
    .option('--agent-label <name=value>', 'only agents with this label build it, repeatable', collect)
    .option('--priority <n>', 'from -100 to 100: builds of a higher one are given agents first (default: 0)')
    .option(
      '--build-arg <name=value>',
      'build argument, repeatable; NAME alone takes it from the environment',
      collect,
    )
    .option(
      '--build-context <name=directory>',
      'directory that the Dockerfile may name like a stage, repeatable',
      collect,
    )
    .option('--target <stage>', 'stage of the Dockerfile to build')
    .option('--label <name=value>', 'label of the image, repeatable', collect)
    .option('--secret <spec>', 'secret for the build: id=ID[,src=FILE|,env=VAR], repeatable', collect)
    .option('--ssh <id[=socket]>', 'ssh agent for the build, repeatable', collect)
    .option(
      '--context-limit <name=value>',
      'how large the context may be: entries, bytes, path or name, like bytes=40GiB, repeatable (or env ARCHFARM_CONTEXT_LIMITS)',
      collect,
    )
    .option('--no-cache', 'build every step anew')
    .option('--pull', 'look for newer base images')
    .addOption(oneOf('--network <mode>', 'network of RUN steps', ['default', 'host', 'none']))
    .option('--cache-from <ref>', 'image to take the cache from, with the suffix of each platform', collect)
    .option('--cache-to <target>', 'inline: put the cache into the image', collect)
    .addOption(oneOf('--suffix <where>', 'platform images carry their suffix in', ['repo', 'tag']))
    .addOption(oneOf('--type <type>', 'kind of the published list', ['auto', 'docker', 'oci']))
    .option(
      '--annotation <name=value>',
      'note on the published list, or manifest-descriptor[PLATFORM]:NAME=VALUE on one of its images, repeatable',
      collect,
    )
    .addOption(
      oneOf('--attestations <mode>', 'what becomes of attestations that engines push', [
        'keep',
        'strip',
        'error',
      ]),
    )
    .option('--child-tags', 'also tag the platform images in the final repository, like latest-arm64v8')
    .option('--test <command>', 'push each image only if this succeeds in a container of it')
    .option('--test-timeout <duration>', 'time that the test has (default: 10m)')
    .option('--test-network', "give the test the engine's default network")
    .option('--verify', 'run what was published on an agent of every platform, as it starts by itself')
    .option('--verify-run <command>', 'the same with this command in place of its own')
    .option('--verify-timeout <duration>', 'time that it has there (default: 10m)')
    .option('--verify-network', "give it the engine's default network there")
    .option('--force', 'publish even if a tag loses a platform that it has today')
    .option('--allow-emulation', 'let agents build platforms that are not their own')
    .option('--wait-agent <duration>', 'how long to wait for an agent of a platform (default: 15s)')
    .option(
      '--timeout <duration>',
      'fail a platform that an agent has worked on for longer; waiting for one does not count',
    )
    .option('--detach', 'print the id of the build, and end once the coordinator can do without this machine')
    .option('--dry-run', 'show what would be built where, and build nothing')
    .option('--project <file>', 'project file (default: compose.yaml or docker-bake.json here or above)')
    .addOption(progressOption())
    .option('--metadata-file <file>', 'write the result as JSON')
    .option('--iidfile <file>', 'write the digest of the published image')
    .addHelpText('after', example('archfarm build py-app --platform linux/amd64,linux/arm64'))
    .action(async (target: string | undefined, flags: unknown, command: Command) => {
      const { readBuildOptions } = await import('./build-options.ts');
      const options = readBuildOptions(flags, { cwd: process.cwd(), environment: process.env });
      const { runBuild } = await import('./build.ts');
      exit(await runBuild(target, options, { ...globalOptions(command, signal), second }));
    });
  addRegistryFlags(build, ' (without a coordinator)');
}

function addBuildCommands(program: Command, { signal }: ProgramContext): void {
  program
    .command('builds')
    .description('list builds, the newest first')
    .option('--limit <n>', 'how many', upToThousand, 20)
    .addOption(oneOf('--status <status>', 'only those', buildStatuses))
    .option('--before <id>', 'only those before this build: the last one of the page before')
    .option('--json', 'as JSON')
    .addHelpText('after', example('archfarm builds --status failed --limit 5'))
    .action(async (options: BuildsOptions, command: Command) => {
      const { runBuilds } = await import('./builds.ts');
      const { limit, status, before } = options;
      await runBuilds({ limit, status, before }, globalOptions(command, signal));
    });
  program
    .command('show')
    .description('show a build and its result')
    .argument('<id>', 'build; the first characters of its id are enough')
    .option('--json', 'as JSON')
    .addHelpText('after', example('archfarm show --json 3k7q'))
    .action(async (id: string, _flags: unknown, command: Command) => {
      const { runShow } = await import('./show.ts');
      await runShow(id, globalOptions(command, signal));
    });
  program
    .command('logs')
    .description('show what happened in a build')
    .argument('<id>', 'build; the first characters of its id are enough')
    .option('-f, --follow', 'go on until the build ends')
    .addOption(afterOption())
    .option('--json', 'one event a line, as JSON')
    .addHelpText('after', example('archfarm logs -f 3k7q'))
    .action(async (id: string, flags: { follow?: boolean; after: number }, command: Command) => {
      const { runLogs } = await import('./logs.ts');
      const { follow = false, after } = flags;
      await runLogs(id, { follow, after, global: globalOptions(command, signal) });
    });
  program
    .command('cancel')
    .description('cancel a build')
    .argument('<id>', 'build; the first characters of its id are enough')
    .addHelpText('after', example('archfarm cancel 3k7q'))
    .action(async (id: string, _flags: unknown, command: Command) => {
      const { runCancel } = await import('./cancel.ts');
      await runCancel(id, globalOptions(command, signal));
    });
}

function addAttach(program: Command, { signal, second, exit }: ProgramContext): void {
  program
    .command('attach')
    .description('follow a build to its end, as archfarm build does')
    .argument('<id>', 'build; the first characters of its id are enough')
    .addOption(progressOption().default('auto'))
    .addOption(afterOption())
    .addHelpText('after', example('archfarm attach 3k7q'))
    .action(async (id: string, flags: { progress: ProgressMode; after: number }, command: Command) => {
      const { runAttach } = await import('./attach.ts');
      const global = globalOptions(command, signal);
      exit(await runAttach(id, { ...flags, global, interrupts: { signal, second } }));
    });
}

/** The `seq` of `--progress rawjson`: whoever keeps it goes on without gap or repeat. */
function afterOption(): Option {
  return new Option('--after <seq>', 'only what comes after the event of this number')
    .default(0, 'the beginning')
    .argParser((text) => {
      if (/^\d{1,15}$/.test(text)) return Number(text);
      throw new InvalidArgumentError('It must be the number of an event: the seq of --progress rawjson.');
    });
}

/** Up to what the coordinator gives at once. */
function upToThousand(text: string): number {
  if (/^(?:[1-9]\d{0,2}|1000)$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a number from 1 to 1000.');
}

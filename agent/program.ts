/** The commands of `archfarm-agent` and their flags. What a command does is loaded when it is called. */
import { Command } from 'commander';
import { version } from '../shared/version.ts';
import { dataDirectory, readAccess, readConfig, type AgentFlags } from './config.ts';
import type { InstallOptions } from './install.ts';
import type { JoinFlags } from './join-command.ts';
import { awaitParent } from './parent.ts';

function collect(value: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, value];
}

/** The command line's parser; commander's own errors are thrown after they were printed. */
export function createProgram(): Command {
  const program = new Command('archfarm-agent')
    .description(
      'Builds, on this host and with its own Docker Engine, what an archfarm coordinator asks for.',
    )
    .version(version, '--version', 'print the version')
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, 'archfarm-agent: ')),
    })
    .showHelpAfterError('  archfarm-agent --help shows the commands')
    .addHelpText(
      'after',
      '\nExamples:\n  sudo archfarm-agent join wss://farm.example:7480 TOKEN --install\n  archfarm-agent status',
    )
    .exitOverride();

  program
    .command('run')
    .description('connect to a coordinator and build for it until told to stop')
    .option(
      '--coordinator <url>',
      'wss://, https://, ws://, http:// or HOST:PORT: by TLS, but for loopback without --ca (ARCHFARM_COORDINATOR)',
    )
    .option('--token-file <file>', 'file that holds the shared token (else ARCHFARM_TOKEN)')
    .option('--ca <file>', 'authorities that vouch for the coordinator (ARCHFARM_CA)')
    .option('--cert <file>', 'certificate of this agent, of another authority than the farm (ARCHFARM_CERT)')
    .option('--key <file>', 'key of that certificate (ARCHFARM_KEY)')
    .option('--name <name>', 'name of this agent (ARCHFARM_NAME; default: the host name)')
    .option('--platform <list>', 'offer only these platforms (ARCHFARM_PLATFORM)', collect)
    .option('--slots <n>', 'builds at once (ARCHFARM_SLOTS; default: 2)')
    .option('--weight <n>', 'share of the work against other agents (ARCHFARM_WEIGHT; default: 1)')
    .option('--label <key=value>', 'label for selecting agents, repeatable (ARCHFARM_LABELS)', collect)
    .option('--data <dir>', 'state of this agent (ARCHFARM_DATA; default: /var/lib/archfarm-agent for root)')
    .option('--cache <dir>', 'contents and records that agents may share (default: the data directory)')
    .option(
      '--context-store <size>',
      'contents that are kept, like 20GiB or 20GiB,30d (ARCHFARM_CONTEXT_STORE; default: 20GiB,30d)',
    )
    .option(
      '--min-free <size>',
      'take no work while less is free where the engine or the agent keeps its files (ARCHFARM_MIN_FREE; default: 10%,2GiB: the lesser of the two)',
    )
    .option(
      '--keep-cache <size>',
      'build cache of the engine that may stay, like 50GiB (ARCHFARM_KEEP_CACHE; default: all that --min-free leaves room for)',
    )
    .option(
      '--allow <list>',
      'what builds may ask of the engine: network-host, extra-hosts, ssh, frontend=PREFIX, all; repeatable (ARCHFARM_ALLOW; default: none of it)',
      collect,
    )
    .option('--build-timeout <duration>', 'how long the engine may take for a build (ARCHFARM_BUILD_TIMEOUT)')
    .option('--docker <host>', 'Docker Engine (default: DOCKER_HOST, else unix:///var/run/docker.sock)')
    .addHelpText(
      'after',
      '\nA host that has joined needs neither address nor name.\n\nExamples:\n  archfarm-agent run --coordinator wss://farm.example:7480 --name pi-01 --slots 2\n  archfarm-agent run --coordinator wss://farm.example:7480 --allow ssh,frontend=ghcr.io/acme/ --build-timeout 1h',
    )
    .action(async (flags: AgentFlags) => {
      const { runAgent } = await import('./run.ts');
      const parent = await awaitParent();
      await runAgent(readConfig(flags, { ...process.env, ...parent?.environment }), parent);
    });

  program
    .command('join')
    .description('make this host an agent of a farm, with a name and a certificate of its own')
    .argument('<url>', 'the coordinator, as archfarm agents add prints it')
    .argument('<token>', 'what archfarm agents add prints after it, or - to read it from stdin')
    .option('--data <dir>', 'state of the agent (ARCHFARM_DATA; default: /var/lib/archfarm-agent for root)')
    .option('--ca <file>', 'authorities that vouch for the coordinator, where its own does not (ARCHFARM_CA)')
    .option('--install', 'also install the systemd service, as archfarm-agent install does')
    .addHelpText('after', '\nExample:\n  sudo archfarm-agent join wss://farm.example:7480 TOKEN --install')
    .action(async (url: string, token: string, flags: JoinFlags) => {
      const { runJoin } = await import('./join-command.ts');
      process.stdout.write(await runJoin(url, token, flags));
    });

  program
    .command('status')
    .description('show whether the agent on this host is connected, and what it builds')
    .option('--data <dir>', 'state of the agent (ARCHFARM_DATA)')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nIts exit status is 3 where no agent runs on that directory.\n\nExample:\n  archfarm-agent status --json',
    )
    .action(async (flags: { data?: string; json?: boolean }) => {
      const { readStatus } = await import('./status-socket.ts');
      const { formatStatus } = await import('./status-text.ts');
      const status = await readStatus(dataDirectory(flags.data, process.env));
      process.stdout.write(
        flags.json === true ? `${JSON.stringify(status, undefined, 2)}\n` : formatStatus(status),
      );
      if (!status.connected) process.exitCode = 3;
    });

  program
    .command('doctor')
    .description('look for what would keep an agent on this host from building, and say what to do')
    .option(
      '--coordinator <url>',
      'wss://, https://, ws://, http:// or HOST:PORT: by TLS, but for loopback without --ca (ARCHFARM_COORDINATOR)',
    )
    .option('--token-file <file>', 'file that holds the shared token (else ARCHFARM_TOKEN)')
    .option('--ca <file>', 'authorities that vouch for the coordinator (ARCHFARM_CA)')
    .option('--cert <file>', 'certificate of this agent, of another authority than the farm (ARCHFARM_CERT)')
    .option('--key <file>', 'key of that certificate (ARCHFARM_KEY)')
    .option('--data <dir>', 'state of the agent (ARCHFARM_DATA)')
    .option('--docker <host>', 'Docker Engine (default: DOCKER_HOST, else unix:///var/run/docker.sock)')
    .option('--engine-only', 'look at the engine alone')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  archfarm-agent doctor\n  archfarm-agent doctor --coordinator wss://farm.example:7480',
    )
    .action(async (flags: AgentFlags & { engineOnly?: boolean; json?: boolean }) => {
      const { examine } = await import('./doctor.ts');
      const { formatChecks, isWell } = await import('../shared/checks.ts');
      const engineOnly = flags.engineOnly === true;
      const access = engineOnly ? undefined : readAccess(flags, process.env);
      const checks = await examine({
        engineOnly,
        coordinator: access?.coordinator,
        trust: access?.trust(),
        token: access?.token,
        data: dataDirectory(flags.data, process.env),
        docker: flags.docker,
        environment: process.env,
        signal: new AbortController().signal,
      });
      process.stdout.write(
        flags.json === true ? `${JSON.stringify(checks, undefined, 2)}\n` : formatChecks(checks),
      );
      if (!isWell(checks)) process.exitCode = 1;
    });

  program
    .command('install')
    .description('install the systemd service of the agent, with its environment file')
    .option('--coordinator <url>', 'written to /etc/archfarm/agent.env')
    .option('--token-file <file>', 'file whose token is written to /etc/archfarm/agent.env')
    .option('--ca <file>', 'authorities that vouch for the coordinator, for /etc/archfarm/agent.env')
    .option('--also-coordinator', 'install the service of a coordinator as well')
    .option('--root <dir>', 'install below this directory instead of /', '/')
    .option('--dry-run', 'print the files instead of writing them')
    .addHelpText(
      'after',
      '\nExample:\n  sudo archfarm-agent install --coordinator wss://farm.example:7480 --token-file token',
    )
    .action(async (flags: InstallOptions) => {
      const { install } = await import('./install.ts');
      process.stdout.write(await install(flags));
    });

  return program;
}

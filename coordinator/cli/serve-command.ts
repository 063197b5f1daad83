/** `archfarm serve` as the command line has it. */
import type { Command } from 'commander';
import { collect } from './collect.ts';
import { example, globalOptions, type ProgramContext } from './command-parts.ts';
import { addRegistryFlags } from './registry-options.ts';
import type { ServeOptions } from './serve-options.ts';

export function addServe(program: Command, { signal }: ProgramContext): void {
  const serve = program
    .command('serve')
    .description(
      'run the coordinator that agents and clients connect to, with its dashboard at the same address',
    )
    .option('--listen <host:port>', 'address to listen on', '127.0.0.1:7480')
    .option(
      '--tls',
      'speak TLS, with an authority and a certificate of its own, kept below tls/ in its state',
    )
    .option(
      '--tls-name <name>',
      "name or address in that certificate, repeatable (default: this host's own)",
      collect,
    )
    .option('--tls-cert <file>', 'certificate to show instead, with its chain; read again when it changes')
    .option('--tls-key <file>', 'key of that certificate')
    .option(
      '--client-ca <file>',
      'authority of the certificates that agents have, with their name as common name (default: one of its own)',
    )
    .option(
      '--token-agents',
      'let agents come with the shared token although others have joined by certificate',
    )
    .option('--insecure-listen', 'listen beyond this machine without TLS')
    .option('--data <dir>', 'directory of its state (default: /var/lib/archfarm for root)')
    .option(
      '--context-store <size>',
      'contexts that are kept, like 20GiB or 20GiB,30d (ARCHFARM_CONTEXT_STORE; default: 20GiB,30d)',
    )
    .option(
      '--context-limit <name=value>',
      'how large a context may be: entries, bytes, path or name, like bytes=40GiB, repeatable (or env ARCHFARM_CONTEXT_LIMITS)',
      collect,
    )
    .option('--keep-builds <n>', 'builds that history keeps (default: 100000)')
    .option('--keep-age <duration>', 'how long it keeps them, like 90d or 12h (default: 180d)')
    .option('--keep-logs <size>', 'how much it keeps of their logs, the oldest go first (default: 10GiB)')
    .option('--log-limit <size>', 'how much output the log keeps of one platform (default: 64MiB)')
    .option('--max-queued <n>', 'builds that may wait for their first agent (default: 1000)')
    .option('--stall-limit <duration>', 'a platform that gives no sign for so long has failed (default: 15m)')
    .option(
      '--no-passwords-to-agents',
      'never give an agent a password, not even for a push to a Basic registry',
    )
    .option(
      '--webhook <url>',
      'tell this URL what becomes of builds, signed with ARCHFARM_WEBHOOK_SECRET, repeatable',
      collect,
    )
    .option('--webhook-secret-file <file>', 'file with that secret')
    .option(
      '--on-publish <command>',
      'run this shell command for every published image; ARCHFARM_DIGEST and others tell of it',
    )
    .addHelpText('after', example('ARCHFARM_TOKEN=… archfarm serve --tls --listen 0.0.0.0:7480'))
    .action(async (flags: Omit<ServeOptions, 'listen'> & { readonly listen: string }, command: Command) => {
      const { parseListenAddress } = await import('./serve-options.ts');
      const listen = parseListenAddress(flags.listen);
      const { runServe } = await import('./serve.ts');
      await runServe({ ...flags, listen }, globalOptions(command, signal));
    });
  addRegistryFlags(serve);
}

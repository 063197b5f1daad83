/** `archfarm users`, `login`, `logout` and `whoami` as the command line has them. */
import type { Command } from 'commander';
import { roles } from '../trust/principal.ts';
import { collect } from './collect.ts';
import { example, globalOptions, oneOf, type ProgramContext } from './command-parts.ts';
import type { LoginOptions } from './login.ts';
import type { NewUserOptions } from './users.ts';

export function addUserCommands(program: Command, context: ProgramContext): void {
  addUsers(program, context);
  addLogin(program, context);
}

function addUsers(program: Command, { signal }: ProgramContext): void {
  const users = program.command('users').description('who may do what at the coordinator');
  users
    .command('ls', { isDefault: true })
    .description(
      'list the users, their roles, what they may publish to and until when their certificates count',
    )
    .option('--json', 'as JSON')
    .addHelpText('after', example('archfarm users --json'))
    .action(async (_flags: unknown, command: Command) => {
      const { runUsers } = await import('./users.ts');
      await runUsers(globalOptions(command, signal));
    });
  users
    .command('add')
    .description('add a user, and print the token that is its own; it is shown once')
    .argument('<name>', 'small letters, digits, dots, dashes and underscores')
    .addOption(
      oneOf(
        '--role <role>',
        'read: look at everything; build: also submit; admin: all',
        roles,
      ).makeOptionMandatory(),
    )
    .option(
      '--repo <prefix>',
      'what it may publish to, like registry.lab:5000/onap, repeatable (default: all)',
      collect,
    )
    .option(
      '--certificate <file>',
      'PEM of its own certificate, by which it signs in to the dashboard without the token',
    )
    .option('--json', 'as JSON')
    .addHelpText('after', example('archfarm users add alice --role build --repo registry.lab:5000/onap'))
    .action(async (name: string, flags: NewUserOptions, command: Command) => {
      const { runAddUser } = await import('./users.ts');
      await runAddUser(name, flags, globalOptions(command, signal));
    });
  users
    .command('rm')
    .description('remove a user: its token and certificate count no more, and its connections are closed')
    .argument('<name>', 'user, as archfarm users lists it')
    .addHelpText('after', example('archfarm users rm alice'))
    .action(async (name: string, _flags: unknown, command: Command) => {
      const { runRemoveUser } = await import('./users.ts');
      await runRemoveUser(name, globalOptions(command, signal));
    });
  users.addHelpText('after', example('archfarm users add alice --role build'));
}

function addLogin(program: Command, { signal }: ProgramContext): void {
  program
    .command('login')
    .description("sign in to a coordinator: keep a token and the coordinator's authority for later commands")
    .argument('<url>', 'the coordinator; the token is asked for, read from a pipe, or from --token-file')
    .option('--fingerprint <sha256>', "of the authority's certificate, instead of --ca")
    .option('--no-default', 'do not talk to this coordinator where none is named')
    .addHelpText('after', example('archfarm login https://coordinator.lab:7480 --ca ca.crt'))
    .action(async (url: string, flags: LoginOptions, command: Command) => {
      const { runLogin } = await import('./login.ts');
      await runLogin(url, flags, globalOptions(command, signal));
    });
  program
    .command('logout')
    .description('forget the token of a coordinator')
    .argument('[url]', 'the coordinator (default: the one that commands talk to)')
    .addHelpText('after', example('archfarm logout https://coordinator.lab:7480'))
    .action(async (url: string | undefined, _flags: unknown, command: Command) => {
      const { runLogout } = await import('./login.ts');
      await runLogout(url, globalOptions(command, signal));
    });
  program
    .command('whoami')
    .description('tell who the coordinator takes you for, and what you may do')
    .option('--json', 'as JSON')
    .addHelpText('after', example('archfarm whoami'))
    .action(async (_flags: unknown, command: Command) => {
      const { runWhoami } = await import('./login.ts');
      await runWhoami(globalOptions(command, signal));
    });
}

/** `archfarm audit` as the command line has it. */
import type { Command } from 'commander';
import { collect } from './collect.ts';
import { example, globalOptions, type ProgramContext } from './command-parts.ts';

export function addAuditCommands(program: Command, { signal, exit }: ProgramContext): void {
  const audit = program.command('audit').description('who did what to builds, tags, agents and users');
  audit
    .command('ls', { isDefault: true })
    .description('list what was done, the oldest first')
    .option('--since <when>', 'only from then on: a date, or a time ago like 7d or 12h')
    .option('--json', 'as JSON')
    .addHelpText('after', example('archfarm audit --since 7d --json'))
    .action(async (flags: { since?: string }, command: Command) => {
      const { runAudit } = await import('./audit.ts');
      await runAudit(flags, globalOptions(command, signal));
    });
  audit
    .command('verify')
    .description('check that no row was altered, removed or moved; status 1 if one was')
    .option('--expect <number:hash>', 'a last row that was noted earlier, repeatable', collect)
    .option('--json', 'as JSON')
    .addHelpText('after', example('archfarm audit verify'))
    .action(async (flags: { expect?: string[] }, command: Command) => {
      const { runAuditVerify } = await import('./audit.ts');
      exit(await runAuditVerify(flags, globalOptions(command, signal)));
    });
  audit.addHelpText('after', example('archfarm audit --since 7d'));
}

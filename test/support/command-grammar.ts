/** Whether command lines of `archfarm` and `archfarm-agent` are such, without doing what they say. */
import type { Command } from 'commander';
import { createProgram as createAgentProgram } from '../../agent/program.ts';
import { createProgram } from '../../coordinator/cli/program.ts';
import type { ShellCommand } from './shell-commands.ts';

export type ProgramName = 'archfarm' | 'archfarm-agent';

const signal = AbortSignal.abort();

const programs: Readonly<Record<ProgramName, () => Command>> = {
  archfarm: () => createProgram({ signal, second: () => signal, exit: () => {} }),
  'archfarm-agent': createAgentProgram,
};

export const programNames: readonly ProgramName[] = ['archfarm', 'archfarm-agent'];

export function isOurs({ program }: ShellCommand): boolean {
  return Object.hasOwn(programs, program);
}

/** A fresh one, as commander keeps what it has parsed. */
export function programOf(name: ProgramName): Command {
  return programs[name]();
}

/** Commander's error, printed nowhere; undefined for a line that it takes, or that asks for help or the version. */
export function errorOf({ program, args }: ShellCommand): string | undefined {
  const found = programNames.find((name) => name === program);
  if (found === undefined) return `${program} is none of ours`;
  const command = programOf(found);
  let printed = '';
  for (const each of [command, ...below(command)]) {
    if (each.commands.length === 0) each.action(() => {});
    each.configureOutput({ writeOut: () => {}, writeErr: (text) => (printed += text) });
  }
  try {
    command.parse(args, { from: 'user' });
    return undefined;
  } catch (error) {
    if (typeof error === 'object' && error !== null && 'exitCode' in error && error.exitCode === 0)
      return undefined;
    return `${program} ${args.join(' ')}: ${printed || String(error)}`;
  }
}

/** All commands below one, however deep, but those that help hides. */
export function below(command: Command): Command[] {
  const visible = command.createHelp().visibleCommands(command);
  return visible.filter((each) => each.name() !== 'help').flatMap((each) => [each, ...below(each)]);
}

/** As one types it: `archfarm agents add`. */
export function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

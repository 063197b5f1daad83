/** What the commands of `archfarm` have in common as commander sees them. */
import { Option, type Command } from 'commander';
import type { GlobalOptions } from './global-options.ts';

/** Actions report an exit status other than 0 through `exit`, and stop when `signal` aborts. */
export interface ProgramContext {
  readonly signal: AbortSignal;
  /** From now on a second interrupt aborts this; without anybody who takes it, it ends the process. */
  readonly second: () => AbortSignal;
  readonly exit: (status: number) => void;
}

interface GlobalFlags {
  readonly coordinator?: string;
  readonly tokenFile?: string;
  readonly ca?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export function globalOptions(command: Command, signal: AbortSignal): GlobalOptions {
  const { coordinator, tokenFile, ca, json = false, quiet = false } = command.optsWithGlobals<GlobalFlags>();
  return { coordinator, tokenFile, ca, json, quiet, signal };
}

export function oneOf(flags: string, description: string, choices: readonly string[]): Option {
  return new Option(flags, description).choices(choices);
}

export function progressOption(): Option {
  const description =
    'how to show progress; plain comes in groups in the logs of GitHub and GitLab (env ARCHFARM_CI=github|gitlab|none)';
  return oneOf('--progress <mode>', description, ['auto', 'tty', 'plain', 'rawjson', 'quiet']);
}

export function example(line: string): string {
  return `\nExample:\n  ${line}`;
}

/** The command that an image must pass before it is pushed, as project files and flags put it. */
import { ArchfarmError } from '../../shared/errors.ts';
import type { ImageTest } from '../../shared/task.ts';
import { parseDuration } from '../../shared/duration.ts';
import { checkKeys } from './known-keys.ts';
import type { YamlValue } from './yaml-value.ts';

/** Those that are not said are left to whoever else says something, or to their defaults. */
export interface TestRequest {
  readonly command?: readonly string[] | undefined;
  /** Milliseconds. */
  readonly timeout?: number | undefined;
  readonly network?: boolean | undefined;
}

/** Milliseconds. */
export const defaultTimeout = 10 * 60_000;

/** A command that was written as text. */
export function shellCommand(text: string): string[] {
  return ['/bin/sh', '-c', text];
}

/** `COMMAND`, `[PROGRAM, ARGUMENT…]`, or `{command, timeout, network}`. Throws `config` with the place in the file. */
export function readTest(value: YamlValue): TestRequest {
  if (value.isText || value.isList) return { command: readCommand(value) };
  checkKeys(value, { supported: ['command', 'timeout', 'network'] });
  const command = value.get('command');
  if (command.isEmpty) throw value.error('has no command');
  const timeout = value.get('timeout');
  const network = value.get('network');
  return {
    command: readCommand(command),
    timeout: timeout.isEmpty ? undefined : timeout.read((text) => parseTestTimeout(text, 'timeout')),
    network: network.isEmpty ? undefined : network.flag(),
  };
}

export function readCommand(value: YamlValue): readonly string[] {
  const command = value.isList ? value.items().map((item) => item.text()) : shellCommand(value.text());
  if (command.length === 0 || command.at(value.isList ? 0 : -1)?.trim() === '') {
    throw value.error('the command is empty');
  }
  return command;
}

/** Throws `usage` naming the option. */
export function parseTestTimeout(text: string, option: string): number {
  const timeout = parseDuration(text, option);
  if (timeout === 0) throw new ArchfarmError('usage', `${option} must be longer than nothing`);
  return timeout;
}

/** What flags say goes before what the file says. Throws `usage` for flags of a test that there is not. */
export function settleTest(
  file: TestRequest | undefined,
  flags: TestRequest | undefined,
): ImageTest | undefined {
  const command = flags?.command ?? file?.command;
  if (command === undefined) {
    if (flags?.timeout === undefined && flags?.network === undefined) return undefined;
    const flag = flags.timeout === undefined ? '--test-network' : '--test-timeout';
    throw new ArchfarmError('usage', `${flag} is for a test, and there is none`, {
      hint: 'give a command with --test, or with x-archfarm.test in the project file',
    });
  }
  return {
    command,
    timeout: flags?.timeout ?? file?.timeout ?? defaultTimeout,
    network: flags?.network ?? file?.network ?? false,
  };
}

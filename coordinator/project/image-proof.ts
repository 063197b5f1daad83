/** Whether what is published is run on every platform, and what of it, as project files and flags put it. */
import { ArchfarmError } from '../../shared/errors.ts';
import type { ProofRequest } from '../../shared/proof.ts';
import { defaultTimeout, parseTestTimeout, readCommand, shellCommand } from './image-test.ts';
import { checkKeys } from './known-keys.ts';
import type { YamlValue } from './yaml-value.ts';

/** What is not said is left to whoever else says something, or to its default. */
export interface VerifyRequest {
  readonly enabled?: boolean | undefined;
  readonly command?: readonly string[] | undefined;
  /** Milliseconds. */
  readonly timeout?: number | undefined;
  readonly network?: boolean | undefined;
}

/** `true`, `COMMAND`, `[PROGRAM, ARGUMENT…]`, or `{command, timeout, network}`. Throws `config` with the place. */
export function readVerify(value: YamlValue): VerifyRequest {
  if (value.isList) return { enabled: true, command: readCommand(value) };
  if (value.isText) {
    const text = value.text();
    return text === 'true' || text === 'false'
      ? { enabled: value.flag() }
      : { enabled: true, command: readCommand(value) };
  }
  checkKeys(value, { supported: ['command', 'timeout', 'network'] });
  const [command, timeout, network] = [value.get('command'), value.get('timeout'), value.get('network')];
  return {
    enabled: true,
    command: command.isEmpty ? undefined : readCommand(command),
    timeout: timeout.isEmpty ? undefined : timeout.read((text) => parseTestTimeout(text, 'timeout')),
    network: network.isEmpty ? undefined : network.flag(),
  };
}

export interface VerifyFlags {
  readonly verify: boolean;
  readonly verifyRun?: string | undefined;
  readonly verifyTimeout?: string | undefined;
  readonly verifyNetwork?: boolean | undefined;
}

/** A command is as good as the flag itself. Throws `usage`. */
export function readVerifyFlags(flags: VerifyFlags): VerifyRequest | undefined {
  const { verify, verifyRun: command, verifyTimeout: timeout, verifyNetwork: network } = flags;
  if (!verify && (command ?? timeout ?? network) === undefined) return undefined;
  return {
    enabled: verify || command !== undefined ? true : undefined,
    ...proofOptions({ command, timeout, network }, { command: '--verify-run', timeout: '--verify-timeout' }),
  };
}

/** `names` are those of the flags, for errors. */
export function proofOptions(
  given: {
    readonly command?: string | undefined;
    readonly timeout?: string | undefined;
    readonly network?: boolean | undefined;
  },
  names: { readonly command: string; readonly timeout: string },
): VerifyRequest {
  const { command, timeout, network } = given;
  if (command?.trim() === '') throw new ArchfarmError('usage', `${names.command} has no command`);
  return {
    ...(command === undefined ? {} : { command: shellCommand(command) }),
    ...(timeout === undefined ? {} : { timeout: parseTestTimeout(timeout, names.timeout) }),
    ...(network === undefined ? {} : { network }),
  };
}

/** What flags say goes before what the file says. Throws `usage` for flags of a proof that nobody asked for. */
export function settleVerify(
  file: VerifyRequest | undefined,
  flags: VerifyRequest | undefined,
): ProofRequest | undefined {
  if ((flags?.enabled ?? file?.enabled) === true) return completeProof({ ...file, ...defined(flags) });
  if (flags?.timeout === undefined && flags?.network === undefined) return undefined;
  const flag = flags.timeout === undefined ? '--verify-network' : '--verify-timeout';
  throw new ArchfarmError('usage', `${flag} is for --verify, which is not given`, {
    hint: 'give --verify, or x-archfarm.verify in the project file',
  });
}

/** With the defaults of what was not said. */
export function completeProof({ command, timeout, network }: VerifyRequest): ProofRequest {
  return {
    ...(command === undefined ? {} : { command }),
    timeout: timeout ?? defaultTimeout,
    network: network ?? false,
  };
}

function defined(request: VerifyRequest = {}): VerifyRequest {
  return Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined));
}

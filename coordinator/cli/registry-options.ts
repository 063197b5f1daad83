/** The flags of every command that speaks to registries itself. */
import type { Command } from 'commander';
import type { RegistriesOptions } from '../registry/registries.ts';
import { collect } from './collect.ts';

export interface RegistryFlags {
  /** Hosts to speak plain http to. */
  readonly insecureRegistry?: readonly string[] | undefined;
  /** Directory of the `config.json` with credentials; undefined means Docker's own. */
  readonly registryConfig?: string | undefined;
  /** Hosts that may have the credentials of registries elsewhere. */
  readonly tokenServer?: readonly string[] | undefined;
  /** Files with certificates of authorities. */
  readonly registryCa?: readonly string[] | undefined;
}

/** `when` completes what a flag says of itself. */
export function addRegistryFlags(command: Command, when = ''): Command {
  return command
    .option('--insecure-registry <host>', `speak plain http to it${when}, repeatable`, collect)
    .option(
      '--registry-config <dir>',
      `directory of the registries' config.json${when} (default: DOCKER_CONFIG, else ~/.docker)`,
    )
    .option(
      '--registry-ca <file>',
      `certificate authority of registries to trust${when}, repeatable`,
      collect,
    )
    .option(
      '--token-server <host>',
      `where registries of other domains may have us sign in${when}, repeatable`,
      collect,
    );
}

/** The first of the flags that was given, as it is written. */
export function givenRegistryFlag(flags: RegistryFlags): string | undefined {
  if ((flags.insecureRegistry ?? []).length > 0) return '--insecure-registry';
  if (flags.registryConfig !== undefined) return '--registry-config';
  if ((flags.registryCa ?? []).length > 0) return '--registry-ca';
  return (flags.tokenServer ?? []).length > 0 ? '--token-server' : undefined;
}

export function registriesOptions(flags: RegistryFlags): RegistriesOptions {
  return {
    insecure: flags.insecureRegistry ?? [],
    configDirectory: flags.registryConfig,
    authorityFiles: flags.registryCa ?? [],
    tokenServers: flags.tokenServer ?? [],
  };
}

/** The flags of manifest-tool that are called otherwise here, for scripts that were written for it. */
import { basename, dirname } from 'node:path';
import { Option, type Command } from 'commander';
import { ArchfarmError } from '../../shared/errors.ts';
import type { InsecureFlags } from './insecure.ts';

export interface ManifestToolFlags extends InsecureFlags {
  readonly plainHttp?: boolean;
  readonly dockerCfg?: string;
  readonly username?: string;
  readonly password?: string;
}

export function addManifestToolFlags(command: Command): Command {
  return command
    .option('--plain-http', 'the same as --insecure')
    .option('--docker-cfg <path>', 'the same as --registry-config; a config.json stands for its directory')
    .addOption(new Option('--username <name>').hideHelp())
    .addOption(new Option('--password <password>').hideHelp());
}

/** The flags as they are called here. Throws `usage` for a password, which every user of the machine could read. */
export function translated<F extends ManifestToolFlags>(flags: F): F {
  const { plainHttp = false, dockerCfg, username, password } = flags;
  if (username !== undefined || password !== undefined) {
    const flag = password === undefined ? '--username' : '--password';
    throw new ArchfarmError(
      'usage',
      `${flag} is not taken: who else is on this machine sees the arguments of commands`,
      { hint: 'sign in with docker login, or name a directory with a config.json: --registry-config DIR' },
    );
  }
  if (dockerCfg !== undefined && flags.registryConfig !== undefined) {
    throw new ArchfarmError('usage', '--docker-cfg and --registry-config say the same: give one of them');
  }
  const directory = basename(dockerCfg ?? '') === 'config.json' ? dirname(dockerCfg!) : dockerCfg;
  return {
    ...flags,
    insecure: flags.insecure === true || plainHttp,
    registryConfig: flags.registryConfig ?? directory,
  };
}

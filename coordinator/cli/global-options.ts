/** Options that every command takes, and what they say about the coordinator to talk to. */
import { readFile } from 'node:fs/promises';
import { parseCoordinatorUrl } from '../../shared/address.ts';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import { parseToken } from '../../shared/token.ts';
import { readTrust, type TlsTrust } from '../../shared/trust.ts';
import { Api } from './api.ts';

export interface GlobalOptions {
  readonly coordinator?: string | undefined;
  readonly tokenFile?: string | undefined;
  /** File of the authorities that vouch for the coordinator. */
  readonly ca?: string | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
  /** Aborted, with a `cancelled` error, when the user interrupts. */
  readonly signal: AbortSignal;
}

export interface CoordinatorAddress {
  readonly url: URL;
  readonly token: string | undefined;
  readonly trust?: TlsTrust | undefined;
}

/** Where `--coordinator` or `ARCHFARM_COORDINATOR` points; undefined when neither is given. */
export async function configuredCoordinator(global: GlobalOptions): Promise<CoordinatorAddress | undefined> {
  const text = global.coordinator ?? process.env['ARCHFARM_COORDINATOR'];
  if (text === undefined || text === '') return undefined;
  const url = parseCoordinatorUrl(text);
  const trust = readTrust(global.ca ?? process.env['ARCHFARM_CA'], url);
  return { url, token: await readToken(global.tokenFile), trust };
}

/** The token of `--token-file` or `ARCHFARM_TOKEN`. */
export async function readToken(tokenFile: string | undefined): Promise<string | undefined> {
  if (tokenFile === undefined) return parseToken(process.env['ARCHFARM_TOKEN'] ?? '', 'ARCHFARM_TOKEN');
  let text: string;
  try {
    text = await readFile(tokenFile, 'utf8');
  } catch (error) {
    throw new ArchfarmError('config', `cannot read the token file ${tokenFile}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const token = parseToken(text, `the token file ${tokenFile}`);
  if (token === undefined) throw new ArchfarmError('config', `the token file ${tokenFile} is empty`);
  return token;
}

/** The API of the configured coordinator; throws `config` when there is none. */
export async function openCoordinator(global: GlobalOptions): Promise<Api> {
  return new Api(await requireCoordinator(global));
}

/** Throws `config` when there is none. */
export async function requireCoordinator(global: GlobalOptions): Promise<CoordinatorAddress> {
  const address = await configuredCoordinator(global);
  if (address !== undefined) return address;
  throw new ArchfarmError('config', 'this command needs a coordinator', {
    hint: 'set --coordinator or ARCHFARM_COORDINATOR; start one with archfarm serve',
  });
}

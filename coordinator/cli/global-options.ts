/** Options that every command takes, and what they say about the coordinator to talk to. */
import { readFile } from 'node:fs/promises';
import { inClearWarning, isInClear, parseCoordinatorUrl } from '../../shared/address.ts';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import { parseToken } from '../../shared/token.ts';
import { readTrust, trustIn, type TlsTrust } from '../../shared/trust.ts';
import { Api } from './api.ts';
import { LoginFile } from './login-file.ts';
import { warn } from './own-words.ts';

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

/**
 * Where `--coordinator` or `ARCHFARM_COORDINATOR` points, else the coordinator that one has signed in to; undefined when
 * there is none, or the variable is set to nothing. What is given by flags and variables goes before what `archfarm login`
 * has kept.
 */
export async function configuredCoordinator(global: GlobalOptions): Promise<CoordinatorAddress | undefined> {
  const text = global.coordinator ?? process.env['ARCHFARM_COORDINATOR'];
  if (text === '') return undefined;
  const logins = new LoginFile(process.env);
  const url = text === undefined ? await logins.defaultCoordinator() : await addressOf(text, global);
  if (url === undefined) return undefined;
  const given = await readToken(global.tokenFile);
  const file = authorityFile(global);
  const login = given === undefined || file === undefined ? await logins.find(url, global.signal) : undefined;
  const token = given ?? login?.token;
  if (token !== undefined) warnInClear(url, global);
  return { url, token, trust: trustOf(url, { file, kept: login?.ca }) };
}

/** Of `--ca` or `ARCHFARM_CA`. */
export function authorityFile({ ca }: Pick<GlobalOptions, 'ca'>): string | undefined {
  return (ca ?? process.env['ARCHFARM_CA']) || undefined;
}

/** Without a scheme, TLS is what an authority stands for: one that is given, or that was kept by `archfarm login`. */
export async function addressOf(text: string, global: Pick<GlobalOptions, 'ca'>): Promise<URL> {
  const byTls = parseCoordinatorUrl(text, { tls: true });
  const isKnown = authorityFile(global) !== undefined || (await new LoginFile(process.env).has(byTls));
  return parseCoordinatorUrl(text, { tls: isKnown });
}

/** Once for a command, however many requests it makes. */
export function warnInClear(url: URL, { quiet }: Pick<GlobalOptions, 'quiet'>): void {
  if (!quiet && isInClear(url)) warn(inClearWarning(url));
}

/** By a file, else by what was kept, else as this system has it. */
function trustOf(
  url: URL,
  { file, kept }: { readonly file: string | undefined; readonly kept: string | undefined },
): TlsTrust {
  if (file !== undefined || kept === undefined || url.protocol !== 'https:') return readTrust(file, url);
  return trustIn(kept, `the authority that archfarm login kept for ${url.href}`);
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

/** `archfarm login`, `logout` and `whoami`. */
import { readFileSync } from 'node:fs';
import { parseCoordinatorUrl } from '../../shared/address.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { readTrust, trustIn } from '../../shared/trust.ts';
import { askToken } from './ask-token.ts';
import {
  addressOf,
  authorityFile,
  readToken,
  requireCoordinator,
  warnInClear,
  type GlobalOptions,
} from './global-options.ts';
import { LoginFile } from './login-file.ts';
import { print, printJson } from './output.ts';
import { plainText } from './progress/sanitize.ts';
import { parseFingerprint, shownAuthority } from './shown-authority.ts';
import { TrustApi, type Identity } from './trust-api.ts';

export interface LoginOptions {
  /** sha256 of an authority's certificate. */
  readonly fingerprint?: string | undefined;
  /** Whether commands that name no coordinator talk to this one from now on. */
  readonly default: boolean;
}

export async function runLogin(
  address: string,
  { fingerprint, default: isDefault }: LoginOptions,
  global: GlobalOptions,
): Promise<void> {
  const { signal } = global;
  const file = authorityFile(global);
  const url =
    fingerprint === undefined
      ? await addressOf(address, global)
      : parseCoordinatorUrl(address, { tls: true });
  const ca = await authorityOf(url, { file, fingerprint, signal });
  const trust = ca === undefined ? readTrust(undefined, url) : trustIn(ca, 'the authority');
  // Before a token is asked for, it is known who will get it.
  using unknown = new TrustApi({ url, trust });
  await unknown.reach(signal);
  warnInClear(url, global);
  const token =
    global.tokenFile === undefined
      ? await askToken(`Token for ${url.host}: `, { input: process.stdin, output: process.stderr, signal })
      : await readToken(global.tokenFile);
  using api = new TrustApi({ url, token, trust });
  const identity = await api.whoami(signal);
  await new LoginFile(process.env).save(
    url,
    { token: token ?? '', ca, user: identity.name, isDefault },
    signal,
  );
  if (!global.quiet) print(plainText(`signed in to ${url.href} as ${describe(identity)}`));
}

/** Of the coordinator that is given, else of the one that commands talk to. */
export async function runLogout(address: string | undefined, global: GlobalOptions): Promise<void> {
  const url =
    address === undefined
      ? (await requireCoordinator({ ...global, quiet: true })).url
      : await addressOf(address, global);
  if (!(await new LoginFile(process.env).remove(url, global.signal))) {
    throw new ArchfarmError('not-found', `you are not signed in to ${url.href}`, {
      hint: 'archfarm login URL signs in',
    });
  }
  if (!global.quiet)
    print(`signed out of ${url.href}; an admin takes the token itself back (archfarm users rm)`);
}

export async function runWhoami(global: GlobalOptions): Promise<void> {
  const address = await requireCoordinator(global);
  using api = new TrustApi(address);
  const identity = await api.whoami(global.signal);
  if (global.json) {
    const { name, type, role, repositories } = identity;
    return printJson({ name, type, role, repositories, coordinator: address.url.href });
  }
  if (global.quiet) return print(plainText(identity.name));
  print(plainText(`${describe(identity)} at ${address.url.href}`));
}

function describe({ name, type, role, repositories }: Identity): string {
  if (type !== 'user') return `${name}, with all rights`;
  const scope = repositories.length === 0 ? 'every repository' : repositories.join(', ');
  return `${name}, with the role ${role}, for ${scope}`;
}

interface AuthoritySource {
  readonly file: string | undefined;
  readonly fingerprint: string | undefined;
  readonly signal: AbortSignal;
}

/** PEM; undefined where the system's authorities are asked. Throws `usage`, `config`, `unauthorized`. */
async function authorityOf(
  url: URL,
  { file, fingerprint, signal }: AuthoritySource,
): Promise<string | undefined> {
  if (url.protocol !== 'https:') {
    if (fingerprint === undefined) return undefined;
    throw new ArchfarmError('usage', `${url.href} is spoken to without TLS: it has no fingerprint`, {
      hint: `its address with TLS is https://${url.host}`,
    });
  }
  if (fingerprint !== undefined) return shownAuthority(url, parseFingerprint(fingerprint), signal);
  if (file === undefined) return undefined;
  // The file may go away; whoever signs in again names another one.
  readTrust(file, url);
  return readFileSync(file, 'utf8');
}

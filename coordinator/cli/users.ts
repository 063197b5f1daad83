/** `archfarm users`: who may do what at a coordinator. */
import { createReadStream } from 'node:fs';
import { text } from 'node:stream/consumers';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import type { Role } from '../trust/principal.ts';
import { maxPem, readUserCertificate } from '../trust/user-certificate.ts';
import { requireCoordinator, type GlobalOptions } from './global-options.ts';
import { print, printJson, say } from './output.ts';
import { plainText } from './progress/sanitize.ts';
import { formatTable } from './table.ts';
import { TrustApi } from './trust-api.ts';

export interface NewUserOptions {
  readonly role: Role;
  /** Beginnings of names of images. */
  readonly repo?: readonly string[] | undefined;
  /** File of PEM. */
  readonly certificate?: string | undefined;
}

export async function runUsers(global: GlobalOptions): Promise<void> {
  using api = new TrustApi(await requireCoordinator(global));
  const users = await api.users(global.signal);
  if (global.json) return printJson(users);
  if (global.quiet) return users.forEach(({ name }) => print(plainText(name)));
  const anyCertificate = users.some(({ certificate }) => certificate !== undefined);
  const rows = users.map(({ name, role, repositories, addedAt, addedBy, certificate }) =>
    [
      name,
      role,
      repositories.join(', ') || 'all',
      dayOf(addedAt),
      addedBy,
      ...(anyCertificate ? [certificate === undefined ? '' : validity(certificate.expiresAt)] : []),
    ].map(plainText),
  );
  const heads = ['NAME', 'ROLE', 'REPOSITORIES', 'ADDED', 'BY'];
  print(await formatTable(anyCertificate ? [...heads, 'CERTIFICATE'] : heads, rows));
}

function validity(expiresAt: number): string {
  return `${Date.now() > expiresAt ? 'expired' : 'until'} ${dayOf(expiresAt)}`;
}

function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

/** Standard output is the token alone. */
export async function runAddUser(
  name: string,
  { role, repo = [], certificate: file }: NewUserOptions,
  global: GlobalOptions,
): Promise<void> {
  const certificate = file === undefined ? undefined : await readCertificate(file);
  const address = await requireCoordinator(global);
  using api = new TrustApi(address);
  const added = await api.addUser({ name, role, repositories: repo, certificate }, global.signal);
  if (global.json) return printJson(added);
  print(added.token);
  if (global.quiet) return;
  const { href } = address.url;
  say(`this token is shown once: give it to ${name}, who signs in with archfarm login ${href}`);
  if (added.certificate === undefined) return;
  say(
    `a browser that has the certificate and its key opens ${href} as ${name}, ${validity(added.certificate.expiresAt)}`,
  );
}

/** PEM, of nothing but certificates. Throws `usage` before anything is sent. */
async function readCertificate(file: string): Promise<string> {
  let given: string;
  try {
    // One more, so that it shows.
    given = await text(createReadStream(file, { end: maxPem }));
  } catch (cause) {
    throw new ArchfarmError('usage', `cannot read ${file} of --certificate: ${messageOf(cause)}`, { cause });
  }
  return readUserCertificate(given, `${file} of --certificate`).map(String).join('');
}

export async function runRemoveUser(name: string, global: GlobalOptions): Promise<void> {
  using api = new TrustApi(await requireCoordinator(global));
  await api.removeUser(name, global.signal);
  print(plainText(name));
}

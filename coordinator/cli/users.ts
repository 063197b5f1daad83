/** `archfarm users`: who may do what at a coordinator. */
import type { Role } from '../trust/principal.ts';
import { requireCoordinator, type GlobalOptions } from './global-options.ts';
import { print, printJson, say } from './output.ts';
import { plainText } from './progress/sanitize.ts';
import { formatTable } from './table.ts';
import { TrustApi } from './trust-api.ts';

export interface NewUserOptions {
  readonly role: Role;
  /** Beginnings of names of images. */
  readonly repo?: readonly string[] | undefined;
}

export async function runUsers(global: GlobalOptions): Promise<void> {
  using api = new TrustApi(await requireCoordinator(global));
  const users = await api.users(global.signal);
  if (global.json) return printJson(users);
  if (global.quiet) return users.forEach(({ name }) => print(plainText(name)));
  const rows = users.map(({ name, role, repositories, addedAt, addedBy }) =>
    [name, role, repositories.join(', ') || 'all', new Date(addedAt).toISOString().slice(0, 10), addedBy].map(
      plainText,
    ),
  );
  print(await formatTable(['NAME', 'ROLE', 'REPOSITORIES', 'ADDED', 'BY'], rows));
}

/** Standard output is the token alone. */
export async function runAddUser(
  name: string,
  { role, repo = [] }: NewUserOptions,
  global: GlobalOptions,
): Promise<void> {
  const address = await requireCoordinator(global);
  using api = new TrustApi(address);
  const added = await api.addUser({ name, role, repositories: repo }, global.signal);
  if (global.json) return printJson(added);
  print(added.token);
  if (global.quiet) return;
  const { href } = address.url;
  say(`this token is shown once: give it to ${name}, who signs in with archfarm login ${href}`);
}

export async function runRemoveUser(name: string, global: GlobalOptions): Promise<void> {
  using api = new TrustApi(await requireCoordinator(global));
  await api.removeUser(name, global.signal);
  print(plainText(name));
}

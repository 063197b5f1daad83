/** A directory with a Docker `config.json`, as `docker login` leaves it. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryDirectory, type TemporaryDirectory } from './temporary-directory.ts';

export async function dockerConfig(config: unknown): Promise<TemporaryDirectory> {
  const directory = await temporaryDirectory();
  await writeFile(join(directory.path, 'config.json'), JSON.stringify(config));
  return directory;
}

/** Signed in to one registry by user and password. */
export function signedIn(host: string, user: string): Promise<TemporaryDirectory> {
  return dockerConfig({ auths: { [host]: { auth: Buffer.from(user).toString('base64') } } });
}

/** Values of build secrets, read where the client runs. */
import { readFile } from 'node:fs/promises';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import type { Environment } from '../project/interpolate.ts';
import type { SecretSource } from '../project/spec.ts';

/** Bytes: BuildKit takes no larger ones. */
const maxSecret = 500 * 1024;

/** By id, base64. Throws `usage` naming the secret that cannot be read. */
export async function readSecrets(
  sources: readonly SecretSource[],
  environment: Environment,
): Promise<Record<string, string>> {
  const values = await Promise.all(
    sources.map(
      async (source) => [source.id, (await readSecret(source, environment)).toString('base64')] as const,
    ),
  );
  return Object.fromEntries(values);
}

async function readSecret(source: SecretSource, environment: Environment): Promise<Buffer> {
  const value = source.type === 'file' ? await readSecretFile(source) : environment[source.variable];
  if (value === undefined) {
    const variable = source.type === 'env' ? source.variable : '';
    throw new ArchfarmError('usage', `secret ${source.id}: the variable ${variable} is not set`);
  }
  const bytes = Buffer.from(value);
  if (bytes.length <= maxSecret) return bytes;
  throw new ArchfarmError(
    'usage',
    `secret ${source.id} has ${bytes.length} bytes, the limit is ${maxSecret}`,
  );
}

async function readSecretFile({ id, path }: { id: string; path: string }): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new ArchfarmError('usage', `secret ${id}: cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

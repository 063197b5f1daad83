/** Whether this machine may push, and with whose credentials; the credentials themselves are never shown. */
import { join } from 'node:path';
import { check, type Check } from '../../shared/checks.ts';
import { parseReference } from '../../shared/reference.ts';
import { defaultConfigDirectory } from '../registry/credentials.ts';
import { canPush } from '../registry/preflight.ts';
import { Registries } from '../registry/registries.ts';
import { registriesOptions, type RegistryFlags } from './registry-options.ts';

const kinds = {
  password: 'a user and a password',
  identity: 'an identity token',
  token: 'a registry token',
} as const;

export async function examineRegistries(
  tags: readonly string[],
  { registry, signal }: { readonly registry: RegistryFlags; readonly signal: AbortSignal },
): Promise<readonly Check[]> {
  await using registries = new Registries(registriesOptions(registry));
  const references = tags.map(parseReference);
  const hosts = [...new Set(references.map((reference) => reference.registry))];
  const file = join(registry.registryConfig ?? defaultConfigDirectory(), 'config.json');
  const credentials = hosts.map((host) =>
    check('credentials', async () => {
      const found = await registries.client(host).credential(signal);
      const what =
        found === undefined
          ? `none for ${host} by ${file}: it is asked anonymously`
          : `${kinds[found.type]} for ${host} by ${file}`;
      return [{ state: 'ok', subject: 'credentials', what }];
    }),
  );
  const repositories = new Map(
    references.map((reference) => [`${reference.registry}/${reference.repository}`, reference]),
  );
  const pushes = [...repositories].map(([name, reference]) =>
    check('registry', async () => {
      const repository = registries.repository(reference);
      await canPush(repository, signal);
      const how = repository.client.endpoint.plain ? 'plain http' : 'TLS';
      return [{ state: 'ok', subject: 'registry', what: `may push to ${name}, by ${how}` }];
    }),
  );
  return (await Promise.all([...credentials, ...pushes])).flat();
}

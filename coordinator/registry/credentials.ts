/** What the user signed in to with `docker login`: Docker's `config.json` and its credential helpers. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { ArchfarmError, messageOf, systemCode } from '../../shared/errors.ts';
import { askHelper } from './credential-helper.ts';
import { dockerHub, type Endpoint } from './endpoint.ts';

export type Credential =
  | { readonly type: 'password'; readonly username: string; readonly password: string }
  /** Only good for a token server. */
  | { readonly type: 'identity'; readonly username: string; readonly token: string }
  /** Somebody has fetched it already: good for the registry itself, for as long as it lasts. */
  | { readonly type: 'token'; readonly token: string };

/** What a helper, and sometimes `config.json`, writes as the user name of an identity token. */
const identityUser = '<token>';

const entrySchema = v.object({
  auth: v.optional(v.string()),
  username: v.optional(v.string()),
  password: v.optional(v.string()),
  identitytoken: v.optional(v.string()),
  registrytoken: v.optional(v.string()),
});

const configSchema = v.object({
  auths: v.optional(v.record(v.string(), entrySchema), {}),
  credHelpers: v.optional(v.record(v.string(), v.string()), {}),
  credsStore: v.optional(v.string(), ''),
});

/** An object of nothing, to valibot. */
const isNoList = (value: unknown): boolean => !Array.isArray(value);

type Config = v.InferOutput<typeof configSchema>;

/** `$DOCKER_CONFIG`, or `~/.docker`. */
export function defaultConfigDirectory(env: NodeJS.ProcessEnv = process.env): string {
  return env['DOCKER_CONFIG'] || join(homedir(), '.docker');
}

/** Reads the file anew: somebody may have signed in since. Undefined where there is nothing for this registry. */
export async function findCredential(
  endpoint: Endpoint,
  options: { directory: string; helperTimeout: number; signal: AbortSignal },
): Promise<Credential | undefined> {
  const path = join(options.directory, 'config.json');
  const config = await readConfig(path, options.signal);
  const names = namesOf(endpoint);
  const key = endpoint.credentialKey;
  const helper = findEntry(config.credHelpers, { key, names }) ?? config.credsStore;
  if (helper !== '') {
    const { helperTimeout: timeout, signal } = options;
    const answer = await askHelper(helper, { key, timeout, signal });
    const found = answer === undefined ? undefined : credentialOf(answer.Username, answer.Secret);
    if (found !== undefined) return found;
  }
  const entry = findEntry(config.auths, { key, names });
  return entry === undefined ? undefined : fromEntry(entry, { path, host: endpoint.host });
}

async function readConfig(path: string, signal: AbortSignal): Promise<Config> {
  try {
    const text = await readFile(path, { encoding: 'utf8', signal });
    return v.parse(v.pipe(v.string(), v.parseJson(), v.check(isNoList, 'a list'), configSchema), text);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return v.parse(configSchema, {});
    signal.throwIfAborted();
    throw new ArchfarmError('config', `cannot read registry credentials from ${path}: ${reason(error)}`);
  }
}

/** The texts of a schema's issues quote values, and here values are secrets. */
function reason(error: unknown): string {
  if (!(error instanceof v.ValiError)) return messageOf(error);
  return `it is not a Docker config file (${v.getDotPath(error.issues[0]) ?? 'no JSON object'})`;
}

function namesOf(endpoint: Endpoint): ReadonlySet<string> {
  return endpoint === dockerHub
    ? new Set(['index.docker.io', 'docker.io', 'registry-1.docker.io'])
    : new Set([endpoint.host]);
}

/** Docker's own key before others that mean the host: those may carry a scheme and a path, `https://quay.io/v2/`. */
function findEntry<T>(
  entries: Readonly<Record<string, T>>,
  { key, names }: { readonly key: string; readonly names: ReadonlySet<string> },
): T | undefined {
  if (Object.hasOwn(entries, key)) return entries[key];
  return Object.entries(entries).find(([each]) =>
    names.has(each.replace(/^https?:\/\//, '').replace(/\/.*$/, '')),
  )?.[1];
}

function fromEntry(
  entry: v.InferOutput<typeof entrySchema>,
  { path, host }: { path: string; host: string },
): Credential | undefined {
  if (entry.registrytoken) return { type: 'token', token: entry.registrytoken };
  let { username = '', password = '' } = entry;
  if (entry.auth) {
    const text = Buffer.from(entry.auth, 'base64').toString('utf8');
    const colon = text.indexOf(':');
    if (colon < 0) {
      throw new ArchfarmError('config', `the "auth" of ${host} in ${path} is not base64 of USER:PASSWORD`, {
        hint: `docker login ${host} writes it anew`,
      });
    }
    username = text.slice(0, colon);
    // Old clients padded it.
    password = text.slice(colon + 1).replace(/\0+$/, '');
  }
  if (entry.identitytoken) return { type: 'identity', username, token: entry.identitytoken };
  return credentialOf(username, password);
}

/**
 * Some helpers answer with empty fields for hosts that they know nothing of. As with Docker, half a credential is none: token
 * servers refuse one, and would have given a token for what is public without it.
 */
function credentialOf(username: string, secret: string): Credential | undefined {
  if (username === '' || secret === '') return undefined;
  return username === identityUser
    ? { type: 'identity', username: '', token: secret }
    : { type: 'password', username, password: secret };
}

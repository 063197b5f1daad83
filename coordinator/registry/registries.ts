/** All registries that one process speaks to: a client for each host, made when it is needed, and kept while it is one of the last. */
import { existsSync } from 'node:fs';
import type { LookupFunction } from 'node:net';
import { join } from 'node:path';
import { parseReference, type Reference } from '../../shared/reference.ts';
import type { RegistryAuth } from '../../shared/task.ts';
import type { Manifest } from '../manifest/document.ts';
import { RegistryClient, type ClientOptions } from './client.ts';
import { defaultConfigDirectory } from './credentials.ts';
import { endpointOf, referenceHost } from './endpoint.ts';
import { Holdings } from './holdings.ts';
import { ManifestCache } from './manifest-cache.ts';
import { getManifest } from './manifests.ts';
import { RegistryError } from './registry-error.ts';
import { Repository } from './repository.ts';
import { pull, push } from './scope.ts';
import { defaultTiming, type RegistryTiming } from './timing.ts';
import type { Traffic } from './traffic.ts';
import { Trust } from './trust.ts';

export interface RegistriesOptions {
  /** Holds Docker's `config.json`; `$DOCKER_CONFIG` or `~/.docker` where absent. */
  readonly configDirectory?: string | undefined;
  /** Hosts, with their ports, that are spoken to without TLS; localhost and 127.0.0.0/8 always are. */
  readonly insecure?: readonly string[];
  /** Hosts that may have the credentials of registries of other domains that sign in there. */
  readonly tokenServers?: readonly string[] | undefined;
  /** Files with certificates of authorities, PEM, trusted beside the system's. */
  readonly authorityFiles?: readonly string[] | undefined;
  /** Where certificates of single hosts are, laid out as Docker does; `/etc/docker/certs.d` where absent. */
  readonly certificateDirectory?: string | undefined;
  /** Whether engines may be given a user's password where the registry takes nothing else; yes where absent. */
  readonly grantPasswords?: boolean | undefined;
  /** How names become addresses; the system's way where absent. */
  readonly lookup?: LookupFunction | undefined;
  readonly timing?: RegistryTiming;
  /** Told of every request. */
  readonly traffic?: Traffic | undefined;
}

/** Whoever builds says which hosts are asked: what is known of the others stays. */
const maxClients = 100;

export class Registries implements AsyncDisposable {
  /** Of blobs of images that were published there. */
  readonly holdings = new Holdings();
  readonly #insecure: readonly string[];
  readonly #options: ClientOptions;
  /** The one that was asked for last comes last. */
  readonly #clients = new Map<string, RegistryClient>();
  readonly #retiring = new Set<RegistryClient>();
  readonly #manifests = new ManifestCache();

  constructor(options: RegistriesOptions = {}) {
    const { grantPasswords, lookup, traffic, timing = defaultTiming } = options;
    this.#insecure = options.insecure ?? [];
    this.#options = {
      configDirectory: options.configDirectory ?? defaultConfigDirectory(),
      timing,
      tokenServers: options.tokenServers ?? [],
      trust: new Trust(options),
      grantPasswords,
      lookup,
      traffic,
    };
  }

  /** Throws for options that could never work, before anything depends on them. */
  check(): Promise<void> {
    return this.#options.trust.check();
  }

  /** `host` as references write it. */
  client(host: string): RegistryClient {
    const client = this.#clients.get(host) ?? this.#newClient(host);
    this.#clients.delete(host);
    this.#clients.set(host, client);
    const [oldest] = this.#clients;
    if (this.#clients.size > maxClients && oldest !== undefined) this.#forget(...oldest);
    return client;
  }

  #newClient(host: string): RegistryClient {
    const certified = existsSync(join(this.#options.trust.directory, host));
    return new RegistryClient(endpointOf(host, this.#insecure, certified), this.#options);
  }

  #forget(host: string, client: RegistryClient): void {
    this.#clients.delete(host);
    this.#retiring.add(client);
    client.retire().then(
      () => this.#retiring.delete(client),
      () => this.#retiring.delete(client),
    );
  }

  repository(reference: Reference): Repository {
    return new Repository(this.client(reference.registry), reference.repository);
  }

  /** What was read lately, without asking the registry. */
  keptManifest(digest: string): Manifest | undefined {
    return this.#manifests.get(digest);
  }

  /** For one that was read by its tag. */
  keepManifest(manifest: Manifest): void {
    this.#manifests.add(manifest);
  }

  /** By digest; what was read or written lately is not fetched again. Throws when it is not there. */
  async manifest(repository: Repository, digest: string, signal: AbortSignal): Promise<Manifest> {
    const kept = this.#manifests.get(digest);
    return kept ?? this.fetchManifest(repository, digest, signal);
  }

  /** As `manifest`, but asks the registry in any case: it must be there now. */
  async fetchManifest(repository: Repository, digest: string, signal: AbortSignal): Promise<Manifest> {
    const manifest = await getManifest(repository, digest, signal);
    if (manifest === undefined) {
      throw new RegistryError('registry-error', `${repository.reference(digest)} is not in the registry`);
    }
    this.#manifests.add(manifest);
    return manifest;
  }

  /**
   * What an engine needs for one push, all to one registry: `push` are full names with the registry; of `pull`, whose
   * layers the engine may mount, those of other registries do not count.
   */
  async pushAuth(
    repositories: { push: readonly string[]; pull: readonly string[] },
    signal: AbortSignal,
  ): Promise<RegistryAuth> {
    const targets = repositories.push.map(parseReference);
    const [first] = targets;
    if (first === undefined || targets.some(({ registry }) => registry !== first.registry)) {
      throw new TypeError('a push goes to one registry');
    }
    const bases = repositories.pull.map(parseReference).filter(({ registry }) => registry === first.registry);
    const client = this.client(first.registry);
    const needed = targets.map(({ repository }) => push(repository));
    if (bases.length === 0) return client.grant(needed, signal);
    try {
      return await client.grant([...needed, ...bases.map(({ repository }) => pull(repository))], signal);
    } catch (error) {
      // Token servers that refuse the whole when they refuse a part: layers that cannot be mounted are uploaded.
      if (error instanceof RegistryError && error.code === 'registry-denied') {
        return client.grant(needed, signal);
      }
      throw error;
    }
  }

  /** What the registry of a base image takes from an engine. A host without credentials here is not even asked. */
  pullScheme(host: string, signal: AbortSignal): Promise<RegistryAuth['type']> {
    return this.client(referenceHost(host)).scheme(signal);
  }

  /** What an engine needs to pull from these repositories and no others, nor to do more than pull. */
  async pullAuth(host: string, repositories: readonly string[], signal: AbortSignal): Promise<RegistryAuth> {
    const client = this.client(referenceHost(host));
    if ((await client.scheme(signal)) === 'anonymous') return { type: 'anonymous' };
    return client.grant(repositories.map(pull), signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const clients = [...this.#clients.values(), ...this.#retiring];
    await Promise.all(clients.map((client) => client.close()));
  }
}

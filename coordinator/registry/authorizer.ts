/** How to sign requests to one registry: what it asked for, answered with what the user signed in with. */
import type { RegistryAuth } from '../../shared/task.ts';
import { parseChallenges, type Challenge } from './challenge.ts';
import { findCredential, type Credential } from './credentials.ts';
import type { Endpoint } from './endpoint.ts';
import type { Scope } from './scope.ts';
import type { RegistryTiming } from './timing.ts';
import { basicAuthorization, TokenSource } from './token.ts';
import type { Transport } from './transport.ts';

/** Milliseconds: helpers cost a process each, and a publish asks often. */
const credentialLifetime = 60_000;

export class Authorizer {
  readonly #endpoint: Endpoint;
  readonly #configDirectory: string;
  readonly #timing: RegistryTiming;
  readonly #tokens: TokenSource;
  #challenge: Challenge | undefined;
  #credential: { readonly value: Credential | undefined; readonly until: number } | undefined;

  constructor(transport: Transport, options: { configDirectory: string; timing: RegistryTiming }) {
    this.#endpoint = transport.endpoint;
    this.#configDirectory = options.configDirectory;
    this.#timing = options.timing;
    this.#tokens = new TokenSource(transport, {
      timing: options.timing,
      credential: (signal) => this.credential(signal),
    });
  }

  /** The `Authorization` of a request; undefined while the registry has not asked for one, or we have nothing. */
  async authorization(scopes: readonly Scope[], signal: AbortSignal): Promise<string | undefined> {
    const challenge = this.#challenge;
    if (challenge === undefined) return undefined;
    if (challenge.scheme === 'bearer') {
      return `Bearer ${(await this.#tokens.get(challenge, scopes, signal)).value}`;
    }
    const credential = await this.credential(signal);
    return credential === undefined ? undefined : basicAuthorization(credential);
  }

  /** Takes in what a 401 said about a request that was signed with `used`. */
  refused(header: string | undefined, used: string | undefined): void {
    this.learn(header);
    if (used === undefined) return;
    this.#credential = undefined;
    if (used.startsWith('Bearer ')) this.#tokens.forget(used.slice('Bearer '.length));
  }

  /** Bearer goes before Basic: a registry that offers both gives more by token. */
  learn(header: string | undefined): void {
    const challenges = parseChallenges(header ?? '');
    this.#challenge =
      challenges.find(({ scheme }) => scheme === 'bearer') ??
      challenges.find(({ scheme }) => scheme === 'basic');
  }

  get hasChallenge(): boolean {
    return this.#challenge !== undefined;
  }

  /** What somebody else would sign in with there; known once there is a challenge. */
  async scheme(signal: AbortSignal): Promise<RegistryAuth['type']> {
    const credential = await this.credential(signal);
    if (credential === undefined || this.#challenge === undefined) return 'anonymous';
    if (this.#challenge.scheme === 'bearer') return 'bearer';
    return credential.type === 'password' ? 'basic' : 'anonymous';
  }

  async credential(signal: AbortSignal): Promise<Credential | undefined> {
    if (this.#credential !== undefined && this.#credential.until > Date.now()) return this.#credential.value;
    const value = await findCredential(this.#endpoint, {
      directory: this.#configDirectory,
      helperTimeout: this.#timing.helper,
      signal,
    });
    this.#credential = { value, until: Date.now() + credentialLifetime };
    return value;
  }

  /** What somebody else needs to do `scopes` there, and no more: a new token where the registry takes tokens. */
  async grant(scopes: readonly Scope[], signal: AbortSignal): Promise<RegistryAuth> {
    if (this.#challenge === undefined) return { type: 'anonymous' };
    if (this.#challenge.scheme === 'bearer') {
      const { value, expiresAt } = await this.#tokens.fetch(this.#challenge, scopes, signal);
      return { type: 'bearer', token: value, lifetime: Math.max(0, expiresAt - Date.now()) };
    }
    const credential = await this.credential(signal);
    if (credential?.type !== 'password') return { type: 'anonymous' };
    return { type: 'basic', username: credential.username, password: credential.password };
  }
}

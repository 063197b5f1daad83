/** How to sign requests to one registry: what it asked for, answered with what the user signed in with. */
import { untilAborted } from '../../shared/abort.ts';
import type { RegistryAuth } from '../../shared/task.ts';
import { parseChallenges, type Challenge } from './challenge.ts';
import { findCredential, type Credential } from './credentials.ts';
import type { Endpoint } from './endpoint.ts';
import type { Scope } from './scope.ts';
import type { RegistryTiming } from './timing.ts';
import { RegistryError, type SignInAttempt } from './registry-error.ts';
import { basicAuthorization, TokenSource, type SignIn } from './token.ts';
import type { Transport } from './transport.ts';

/** Milliseconds: helpers cost a process each, and a publish asks often. */
const credentialLifetime = 60_000;

export interface AuthorizerOptions {
  readonly configDirectory: string;
  readonly timing: RegistryTiming;
  /** Hosts, besides those of a registry's own domain, that may have its credentials when it signs in there. */
  readonly tokenServers: readonly string[];
  /** Whether `grant` may give a user's password; yes, if not given. */
  readonly grantPasswords?: boolean | undefined;
}

export class Authorizer {
  readonly #endpoint: Endpoint;
  readonly #options: AuthorizerOptions;
  readonly #tokens: TokenSource;
  #challenge: Challenge | undefined;
  #signIn: SignInAttempt | undefined;
  #credential: { readonly value: Promise<Credential | undefined>; readonly until: number } | undefined;

  constructor(transport: Transport, options: AuthorizerOptions) {
    this.#endpoint = transport.endpoint;
    this.#options = options;
    this.#tokens = new TokenSource(transport, {
      timing: options.timing,
      tokenServers: options.tokenServers,
      signIn: () => this.#signIn,
      credential: async (signal) => signIn(await this.credential(signal)),
    });
  }

  /** The `Authorization` of a request; undefined while the registry has not asked for one, or we have nothing. */
  async authorization(scopes: readonly Scope[], signal: AbortSignal): Promise<string | undefined> {
    const challenge = this.#challenge;
    if (challenge === undefined) return undefined;
    if (challenge.scheme === 'bearer') {
      const known = await this.credential(signal);
      if (known?.type === 'token') return `Bearer ${known.token}`;
      return `Bearer ${(await this.#tokens.get(challenge, scopes, signal)).value}`;
    }
    const credential = signIn(await this.credential(signal));
    return credential === undefined ? undefined : basicAuthorization(credential);
  }

  /**
   * The same for the first try of a request. Where what the registry asked for before does not work any more it may sign in
   * elsewhere by now, or not at all: it is to say so itself.
   */
  async remembered(scopes: readonly Scope[], signal: AbortSignal): Promise<string | undefined> {
    const challenge = this.#challenge;
    try {
      return await this.authorization(scopes, signal);
    } catch (error) {
      const isStale = error instanceof RegistryError && error.status !== undefined && !error.temporary;
      if (!isStale || error.code === 'registry-denied') throw error;
      if (this.#challenge === challenge) this.#challenge = undefined;
      return undefined;
    }
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

  /** What was found when credentials were last looked for. */
  get signIn(): SignInAttempt | undefined {
    return this.#signIn;
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

  credential(signal: AbortSignal): Promise<Credential | undefined> {
    if (this.#credential === undefined || this.#credential.until <= Date.now()) {
      const { configDirectory: directory, timing } = this.#options;
      // Not the caller's signal: others may be waiting for the same helper, which has a timeout of its own.
      const { signal: never } = new AbortController();
      const value = findCredential(this.#endpoint, {
        directory,
        helperTimeout: timing.helper,
        signal: never,
      });
      const kept = { value, until: Date.now() + credentialLifetime };
      this.#credential = kept;
      value.then(
        (found) => (this.#signIn = { directory, found: found !== undefined }),
        () => {
          if (this.#credential === kept) this.#credential = undefined;
        },
      );
    }
    return untilAborted(this.#credential.value, signal);
  }

  /** What somebody else needs to do `scopes` there, and no more: a new token where the registry takes tokens. */
  async grant(scopes: readonly Scope[], signal: AbortSignal): Promise<RegistryAuth> {
    if (this.#challenge === undefined) return { type: 'anonymous' };
    const credential = await this.credential(signal);
    if (this.#challenge.scheme === 'bearer') {
      if (credential?.type === 'token') return { type: 'bearer', token: credential.token };
      const { value, expiresAt } = await this.#tokens.fetch(this.#challenge, scopes, signal);
      return { type: 'bearer', token: value, lifetime: Math.max(0, expiresAt - Date.now()) };
    }
    if (credential?.type !== 'password') return { type: 'anonymous' };
    if (this.#options.grantPasswords === false) {
      throw new RegistryError(
        'registry-denied',
        `registry ${this.#endpoint.host} takes nothing but user and password, and agents are given none`,
        {
          hint: 'use a registry with a token server, or start the coordinator without --no-passwords-to-agents',
        },
      );
    }
    return { type: 'basic', username: credential.username, password: credential.password };
  }
}

function signIn(credential: Credential | undefined): SignIn | undefined {
  return credential?.type === 'token' ? undefined : credential;
}

/** Bearer tokens of a registry's token server: asked for, kept while they are good, found by what they allow. */
import * as v from 'valibot';
import { untilAborted } from '../../shared/abort.ts';
import type { Challenge } from './challenge.ts';
import type { Credential } from './credentials.ts';
import { withinDeadline } from './deadline.ts';
import { realmOf } from './realm.ts';
import { badAnswer, RegistryError, unexpectedAnswer, type SignInAttempt } from './registry-error.ts';
import { withRetries } from './retry.ts';
import { describeAccess, formatScope, scopesCover, type Scope } from './scope.ts';
import type { RegistryTiming } from './timing.ts';
import type { Exchange, Transport } from './transport.ts';

/** What a token server takes. */
export type SignIn = Exclude<Credential, { type: 'token' }>;

export interface Token {
  readonly value: string;
  /** Milliseconds since 1970, by our clock. */
  readonly expiresAt: number;
}

interface KeptToken extends Token {
  readonly scopes: readonly Scope[];
}

export interface TokenSourceOptions {
  readonly timing: RegistryTiming;
  /** Hosts that may have credentials of any registry that signs in there. */
  readonly tokenServers: readonly string[];
  readonly credential: (signal: AbortSignal) => Promise<SignIn | undefined>;
  /** For what an error has to say. */
  readonly signIn: () => SignInAttempt | undefined;
}

interface Ask {
  readonly scopes: readonly Scope[];
  readonly credential: SignIn | undefined;
}

const maxAnswer = 64 * 1024;
const maxErrorBody = 64 * 1024;
/** A token is not used for a request in its last milliseconds. */
const margin = 5_000;
/** Seconds, where the server does not say: the token specification's default. */
const defaultLifetime = 60;
/** Seconds; whoever promises more is asked again. */
const maxLifetime = 3_600;
/** Builds of many images go through one coordinator; the oldest tokens give way. */
const maxKept = 256;

const answerSchema = v.object({
  token: v.nullish(v.string()),
  access_token: v.nullish(v.string()),
  // Nonsense is no reason to do without the token. Some servers write 0 for what they do not say.
  expires_in: v.fallback(
    v.pipe(
      v.number(),
      v.check((seconds) => seconds > 0),
    ),
    defaultLifetime,
  ),
});

export class TokenSource {
  readonly #transport: Transport;
  readonly #options: TokenSourceOptions;
  #kept: KeptToken[] = [];
  readonly #asking = new Map<string, Promise<Token>>();

  constructor(transport: Transport, options: TokenSourceOptions) {
    this.#transport = transport;
    this.#options = options;
  }

  /** One that allows at least `scopes`, kept or new. Callers that want the same at the same time share one request. */
  async get(challenge: Challenge, scopes: readonly Scope[], signal: AbortSignal): Promise<Token> {
    const now = Date.now();
    this.#kept = this.#kept.filter(({ expiresAt }) => expiresAt - margin > now);
    const kept = this.#kept.find((token) => scopesCover(token.scopes, scopes));
    if (kept !== undefined) return kept;
    const key = scopes.map(formatScope).toSorted().join(' ');
    let asking = this.#asking.get(key);
    if (asking === undefined) {
      // Not the caller's signal: others may be waiting for the same token.
      asking = this.fetch(challenge, scopes, new AbortController().signal)
        .then((token) => {
          this.#kept = [...this.#kept.slice(1 - maxKept), { ...token, scopes }];
          return token;
        })
        .finally(() => this.#asking.delete(key));
      this.#asking.set(key, asking);
    }
    return untilAborted(asking, signal);
  }

  /** A registry refused this one. */
  forget(value: string): void {
    this.#kept = this.#kept.filter((token) => token.value !== value);
  }

  /** A token of its own, with its whole life before it. */
  async fetch(challenge: Challenge, scopes: readonly Scope[], signal: AbortSignal): Promise<Token> {
    const ask: Ask = { scopes, credential: await this.#options.credential(signal) };
    const realm = realmOf(challenge.parameters.get('realm') ?? '', {
      endpoint: this.#transport.endpoint,
      tokenServers: this.#options.tokenServers,
      signsIn: ask.credential !== undefined,
    });
    const service = challenge.parameters.get('service');
    if (ask.credential?.type === 'identity') {
      const token = await this.#oauth({ realm, service, ask, token: ask.credential.token }, signal);
      if (token !== undefined) return token;
    }
    const url = new URL(realm);
    if (service !== undefined) url.searchParams.set('service', service);
    for (const scope of ask.scopes) url.searchParams.append('scope', formatScope(scope));
    const headers: Record<string, string> = {};
    if (ask.credential !== undefined) headers['authorization'] = basicAuthorization(ask.credential);
    const answer = await this.#exchange({ method: 'GET', url, headers }, { ask, expected: [200] }, signal);
    return this.#parse(url, answer);
  }

  /** Undefined when the server has no such way to sign in; asking the older way tells the reason. */
  async #oauth(
    request: { realm: URL; service: string | undefined; ask: Ask; token: string },
    signal: AbortSignal,
  ): Promise<Token | undefined> {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      service: request.service ?? '',
      client_id: 'archfarm',
      scope: request.ask.scopes.map(formatScope).join(' '),
      refresh_token: request.token,
    });
    const exchange: Exchange = {
      method: 'POST',
      url: request.realm,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: Buffer.from(form.toString()),
    };
    const expected = [200, 401, 404, 405];
    const answer = await this.#exchange(exchange, { ask: request.ask, expected }, signal);
    return answer.status === 200 ? this.#parse(request.realm, answer) : undefined;
  }

  /** Redirects are not followed: the credentials are for the realm and nobody else. */
  async #exchange(
    exchange: Exchange,
    { ask, expected }: { ask: Ask; expected: readonly number[] },
    signal: AbortSignal,
  ): Promise<{ status: number; bytes: Buffer }> {
    const asked = { method: exchange.method, url: exchange.url, endpoint: this.#transport.endpoint };
    const attempt = async (signal: AbortSignal): Promise<{ status: number; bytes: Buffer }> => {
      const answer = await this.#transport.send(exchange, signal);
      if (expected.includes(answer.status)) {
        return { status: answer.status, bytes: await answer.read(maxAnswer) };
      }
      throw unexpectedAnswer(asked, {
        status: answer.status,
        body: await answer.start(maxErrorBody),
        retryAfter: answer.header('retry-after'),
        access: this.#describe(ask),
        credentials: [exchange.headers['authorization'], identityOf(ask.credential)],
        signIn: this.#options.signIn(),
      });
    };
    const { timing } = this.#options;
    try {
      return await withRetries(
        () => withinDeadline(attempt, { milliseconds: timing.answer, signal, asked }),
        { timing, signal, onRetry: () => this.#transport.noteRetry() },
      );
    } catch (error) {
      // Whoever needs the token would begin all over again.
      throw error instanceof RegistryError ? error.final() : error;
    }
  }

  #describe({ scopes, credential }: Ask): string {
    const who = credential === undefined ? 'without credentials' : 'with the credentials at hand';
    return `${describeAccess(this.#transport.endpoint.host, scopes)}, signing in ${who},`;
  }

  #parse(url: URL, answer: { bytes: Buffer }): Token {
    const { endpoint } = this.#transport;
    const parsed = v.safeParse(
      v.pipe(v.string(), v.parseJson(), answerSchema),
      answer.bytes.toString('utf8'),
    );
    const value = parsed.success ? parsed.output.token || parsed.output.access_token || '' : '';
    if (!parsed.success || !/^[\x21-\x7e]+$/.test(value)) {
      throw badAnswer({ method: 'GET', url, endpoint }, 'the token server answers without a token');
    }
    const lifetime = Math.min(parsed.output.expires_in, maxLifetime);
    return { value, expiresAt: Date.now() + lifetime * 1000 };
  }
}

function identityOf(credential: SignIn | undefined): string | undefined {
  return credential?.type === 'identity' ? credential.token : undefined;
}

/** For a registry, or a token server: an identity token goes in the password's place. */
export function basicAuthorization(credential: SignIn): string {
  const secret = credential.type === 'password' ? credential.password : credential.token;
  return `Basic ${Buffer.from(`${credential.username}:${secret}`).toString('base64')}`;
}

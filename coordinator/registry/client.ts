/** One registry: requests that are signed, redirected, retried and bounded. */
import { Readable } from 'node:stream';
import type { RegistryAuth } from '../../shared/task.ts';
import { Limiter } from '../limiter.ts';
import { Authorizer, type AuthorizerOptions } from './authorizer.ts';
import { Capabilities } from './capabilities.ts';
import type { Credential } from './credentials.ts';
import { withinDeadline } from './deadline.ts';
import type { Endpoint } from './endpoint.ts';
import {
  badAnswer,
  unexpectedAnswer,
  type Asked,
  type RegistryError,
  type SignInAttempt,
} from './registry-error.ts';
import { withRetries } from './retry.ts';
import { describeAccess, type Scope } from './scope.ts';
import type { RegistryTiming } from './timing.ts';
import {
  connectionsPerHost,
  Transport,
  type Answer,
  type Method,
  type TransportOptions,
} from './transport.ts';

export interface RegistryRequest {
  readonly method: Method;
  /** A path of the registry, or an address that it gave. */
  readonly url: string | URL;
  readonly scopes: readonly Scope[];
  /** Any other status is an error. */
  readonly expected: readonly number[];
  readonly headers?: Readonly<Record<string, string>>;
  /** A redirect to another host is the answer, and is not followed. */
  readonly staysHome?: boolean;
  /** A stream is sent once: whoever made it makes another, after a failure that says it may pass. */
  readonly body?: Buffer | Readable;
}

/** An answer whose body is in memory. */
export interface Reply {
  readonly url: URL;
  readonly status: number;
  header(name: string): string | undefined;
  readonly bytes: Buffer;
}

/** Statuses that send a request elsewhere. */
export const redirects: readonly number[] = [301, 302, 303, 307, 308];
const maxRedirects = 5;
const maxErrorBody = 64 * 1024;
/** Bodies of answers that carry nothing we want. */
const maxReply = 64 * 1024;

/** Gives work a signal that ends it in time. */
type Bound = <T>(work: (signal: AbortSignal) => Promise<T>) => Promise<T>;

type Outcome<T> =
  | { readonly taken: T }
  | { readonly answer: Answer; readonly failure: (signIn: SignInAttempt | undefined) => RegistryError };

export type ClientOptions = AuthorizerOptions & TransportOptions;

export class RegistryClient {
  readonly endpoint: Endpoint;
  readonly timing: RegistryTiming;
  readonly capabilities = new Capabilities();
  /** Of blobs, to it and from it. One within it holds two connections, and some must stay free for other requests. */
  readonly copies = new Limiter(connectionsPerHost / 2 - 1);
  /** For whoever asks again by itself. */
  readonly onRetry = (): void => this.#transport.noteRetry();
  readonly #transport: Transport;
  readonly #authorizer: Authorizer;
  readonly #later = new Set<Promise<void>>();

  constructor(endpoint: Endpoint, options: ClientOptions) {
    this.endpoint = endpoint;
    this.timing = options.timing;
    this.#transport = new Transport(endpoint, options);
    this.#authorizer = new Authorizer(this.#transport, options);
  }

  /** The whole answer, retried while the failure is a passing one. `limit` is in bytes; `tries` counts the first. */
  call(
    request: RegistryRequest,
    { signal, limit = maxReply, tries }: { signal: AbortSignal; limit?: number; tries?: number },
  ): Promise<Reply> {
    const read = async (answer: Answer): Promise<Reply> => {
      const { url, status } = answer;
      return { url, status, header: (name) => answer.header(name), bytes: await answer.read(limit) };
    };
    const timing = { ...this.timing, tries: tries ?? this.timing.tries };
    const asked = this.#asked(request.method, new URL(String(request.url), this.endpoint.origin));
    const bound: Bound = (work) => withinDeadline(work, { milliseconds: timing.answer, signal, asked });
    return withRetries(() => this.#signed(request, { signal, bound, take: read }), {
      timing,
      signal,
      onRetry: this.onRetry,
    });
  }

  /** One try, with the body still to be taken. */
  open(request: RegistryRequest, signal: AbortSignal): Promise<Answer> {
    return this.#signed(request, { signal, bound: (work) => work(signal), take: (answer) => answer });
  }

  /** A refused signature is renewed once. Signing in has its own time: `bound` is for each exchange. */
  async #signed<T>(
    request: RegistryRequest,
    options: {
      readonly signal: AbortSignal;
      readonly bound: Bound;
      readonly take: (answer: Answer) => T | Promise<T>;
    },
  ): Promise<T> {
    const { signal, bound, take } = options;
    const ask = (authorization: string | undefined): Promise<Outcome<T>> =>
      bound(async (signal) => {
        const answer = await this.#follow(request, authorization, signal);
        if (request.expected.includes(answer.status)) return { taken: await take(answer) };
        return { answer, failure: await this.#failure(request, answer, authorization) };
      });
    const authorization = await this.#authorizer.remembered(request.scopes, signal);
    const first = await ask(authorization);
    if ('taken' in first) return first.taken;
    const { answer, failure } = first;
    if (answer.status !== 401 || !this.#transport.isHome(answer.url)) throw failure(this.#authorizer.signIn);
    this.#authorizer.refused(answer.header('www-authenticate'), authorization);
    const renewed = await this.#authorizer.authorization(request.scopes, signal);
    // Saying the same thing again would be refused again.
    if (renewed === undefined || renewed === authorization) throw failure(this.#authorizer.signIn);
    if (request.body instanceof Readable) throw failure(this.#authorizer.signIn).passing();
    const second = await ask(renewed);
    if ('taken' in second) return second.taken;
    throw second.failure(this.#authorizer.signIn);
  }

  /** What another program needs to do `scopes` here, and no more. */
  async grant(scopes: readonly Scope[], signal: AbortSignal): Promise<RegistryAuth> {
    if (!this.#authorizer.hasChallenge) await this.#probe(signal);
    return this.#authorizer.grant(scopes, signal);
  }

  credential(signal: AbortSignal): Promise<Credential | undefined> {
    return this.#authorizer.credential(signal);
  }

  /** What another program would sign in with here. A host without credentials is not even asked. */
  async scheme(signal: AbortSignal): Promise<RegistryAuth['type']> {
    if ((await this.credential(signal)) === undefined) return 'anonymous';
    if (!this.#authorizer.hasChallenge) await this.#probe(signal);
    return this.#authorizer.scheme(signal);
  }

  /** Tidying up that nobody waits for, except `close`. */
  later(work: Promise<void>): void {
    const quiet = work.catch(() => {}).finally(() => this.#later.delete(quiet));
    this.#later.add(quiet);
  }

  /** As `close`, but nothing that goes on is cut off, and whoever still has it can go on asking. */
  async retire(): Promise<void> {
    await Promise.all(this.#later);
    await this.#transport.retire();
  }

  async close(): Promise<void> {
    await Promise.all(this.#later);
    await this.#transport.close();
  }

  async #probe(signal: AbortSignal): Promise<void> {
    const url = new URL('/v2/', this.endpoint.origin);
    const attempt = async (signal: AbortSignal): Promise<void> => {
      const answer = await this.#transport.send({ method: 'GET', url, headers: {} }, signal);
      if (answer.status !== 200 && answer.status !== 401) {
        throw (await this.#failure({ method: 'GET', scopes: [] }, answer, undefined))(undefined);
      }
      this.#authorizer.learn(answer.header('www-authenticate'));
      await answer.discard();
    };
    const { timing } = this;
    await withRetries(
      () => withinDeadline(attempt, { milliseconds: timing.answer, signal, asked: this.#asked('GET', url) }),
      { timing, signal, onRetry: this.onRetry },
    );
  }

  /** Only reads are sent on; other hosts get no `Authorization`. */
  async #follow(
    request: RegistryRequest,
    authorization: string | undefined,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { method, headers = {}, body } = request;
    let url = new URL(String(request.url), this.endpoint.origin);
    for (let hops = 0; ; hops++) {
      const signed =
        authorization !== undefined && this.#transport.isHome(url) ? { ...headers, authorization } : headers;
      const answer = await this.#transport.send({ method, url, headers: signed, body }, signal);
      const location = answer.header('location');
      const redirected = redirects.includes(answer.status) && location !== undefined;
      if (!redirected || (method !== 'GET' && method !== 'HEAD')) return answer;
      if (request.staysHome === true && !this.#transport.isHome(this.resolve(location, answer.url)))
        return answer;
      await answer.discard();
      if (hops === maxRedirects) throw badAnswer(this.#asked(method, url), 'too many redirects');
      url = this.resolve(location, answer.url);
    }
  }

  /** A `Location` of an answer. */
  resolve(location: string, base: URL): URL {
    if (!URL.canParse(location, base.href)) {
      throw badAnswer(this.#asked('GET', base), 'the answer has a Location that is not a URL');
    }
    const url = new URL(location, base);
    // Registries behind a TLS proxy write their own address with the scheme that they see.
    if (url.host === base.host && base.protocol === 'https:') url.protocol = 'https:';
    return url;
  }

  /** Read at once; what was signed in with may be known later. */
  async #failure(
    request: Pick<RegistryRequest, 'method' | 'scopes'>,
    answer: Answer,
    authorization: string | undefined,
  ): Promise<(signIn: SignInAttempt | undefined) => RegistryError> {
    const body = await answer.start(maxErrorBody);
    return (signIn) =>
      unexpectedAnswer(this.#asked(request.method, answer.url), {
        status: answer.status,
        body,
        retryAfter: answer.header('retry-after'),
        access: describeAccess(this.endpoint.host, request.scopes),
        credentials: [authorization],
        signIn,
      });
  }

  #asked(method: Method, url: URL): Asked {
    return { method, url, endpoint: this.endpoint };
  }
}

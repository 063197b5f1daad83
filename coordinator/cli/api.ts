/** The coordinator's HTTP API, typed. One object is one connection pool: dispose of it when done. */
import http from 'node:http';
import https from 'node:https';
import * as v from 'valibot';
import { reasonOf } from '../../shared/abort.ts';
import type { StoreUsage } from '../../shared/context/store-usage.ts';
import { ArchfarmError, fromErrorInfo, messageOf, systemCode } from '../../shared/errors.ts';
import type { BuildResult, BuildStatus, Frame } from '../../shared/progress.ts';
import type { BuildSpec } from '../project/spec.ts';
import { readLines, readText } from './answer-body.ts';
import {
  agentsSchema,
  storeSchema,
  buildResultSchema,
  buildsSchema,
  errorAnswerSchema,
  parseFrame,
  pathSchema,
  planSchema,
  submittedSchema,
  type AgentInfo,
  type PlanAnswer,
} from './api-answers.ts';

/** Bytes of one answer; the largest is a list of builds. */
const maxAnswer = 16 * 1024 * 1024;
/** Milliseconds until an answer must have begun. */
const answerTimeout = 30_000;

export interface ApiOptions {
  readonly url: URL;
  readonly token?: string | undefined;
}

export interface Submission {
  readonly spec: BuildSpec;
  /** By id, base64. */
  readonly secrets?: Readonly<Record<string, string>> | undefined;
  /** How it is called where somebody asks whose build it is. */
  readonly client?: string | undefined;
  /** Names the connection that contents can be had from. */
  readonly link?: string | undefined;
  /** Records of directories that the coordinator will ask for if it lacks them, base64. */
  readonly directories?: readonly string[] | undefined;
  /** Two submissions with the same key are one build. */
  readonly idempotencyKey: string;
}

/** What is given to a build that goes on from another one. */
export interface Continuation extends Required<
  Pick<Submission, 'secrets' | 'link' | 'client' | 'idempotencyKey'>
> {
  /** Ids of the ssh agents that are forwarded. */
  readonly ssh: readonly string[];
}

export interface BuildsQuery {
  readonly limit?: number | undefined;
  /** A build id: only older ones. */
  readonly before?: string | undefined;
  readonly status?: BuildStatus | undefined;
}

interface Call {
  readonly signal: AbortSignal;
  readonly body?: unknown;
  /** Milliseconds until the answer must have begun; infinite for what waits for a transfer or an agent. */
  readonly answerWithin?: number;
}

export class Api implements Disposable {
  readonly url: URL;
  readonly #token: string | undefined;
  readonly #agent: http.Agent;

  constructor({ url, token }: ApiOptions) {
    this.url = url;
    this.#token = token;
    this.#agent =
      url.protocol === 'https:' ? new https.Agent({ keepAlive: true }) : new http.Agent({ keepAlive: true });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  /** Gives the id of the build, which is stored when this resolves. */
  async submit(submission: Submission, signal: AbortSignal): Promise<string> {
    const answer = await this.#json('POST', 'v1/builds', {
      body: submission,
      signal,
      answerWithin: Infinity,
    });
    return this.#check(submittedSchema, answer).build;
  }

  /** Newest first. */
  async builds(query: BuildsQuery, signal: AbortSignal): Promise<BuildResult[]> {
    const parameters = new URLSearchParams();
    for (const [key, value] of Object.entries(query)) {
      if (value !== undefined) parameters.set(key, String(value));
    }
    return this.#check(
      buildsSchema,
      await this.#json('GET', `v1/builds?${parameters.toString()}`, { signal }),
    ).builds;
  }

  /** `id` may be abbreviated as long as it is unique. */
  async build(id: string, signal: AbortSignal): Promise<BuildResult> {
    return this.#check(buildResultSchema, await this.#json('GET', buildPath(id), { signal }));
  }

  /** The frames after number `after`, over one connection; with `follow`, until the result. */
  async *frames(
    id: string,
    options: {
      readonly after: number;
      readonly follow: boolean;
      readonly signal: AbortSignal;
      /** The coordinator has begun to answer; frames may be a long time coming. */
      readonly onOpen?: () => void;
    },
  ): AsyncGenerator<Frame> {
    const { after, follow, signal } = options;
    const query = `after=${after}${follow ? '&follow=1' : ''}`;
    const answer = await this.#request('GET', `${buildPath(id)}/events?${query}`, { signal });
    options.onOpen?.();
    try {
      for await (const line of readLines(answer)) yield this.#checked(() => parseFrame(JSON.parse(line)));
    } catch (error) {
      throw this.#failure(error, signal);
    } finally {
      answer.destroy();
    }
  }

  async cancel(id: string, signal: AbortSignal): Promise<void> {
    await this.#json('POST', `${buildPath(id)}/cancel`, { signal });
  }

  /** Values by id, base64: for a coordinator that restarted and has them no more. */
  async supplySecrets(
    id: string,
    options: { readonly secrets: Readonly<Record<string, string>>; readonly signal: AbortSignal },
  ): Promise<void> {
    await this.#json('PUT', `${buildPath(id)}/secrets`, { body: options.secrets, signal: options.signal });
  }

  /** Resolves once the build needs its client no more; throws what is in the way of that. */
  async complete(id: string, signal: AbortSignal): Promise<void> {
    await this.#json('POST', `${buildPath(id)}/complete`, { signal, answerWithin: Infinity });
  }

  /** Gives the id of the build that builds again what failed of this one. */
  async retry(id: string, body: Continuation, signal: AbortSignal): Promise<string> {
    const answer = await this.#json('POST', `${buildPath(id)}/retry`, {
      body,
      signal,
      answerWithin: Infinity,
    });
    return this.#check(submittedSchema, answer).build;
  }

  /** Gives the id of the build that adds platforms to what this one published. */
  async amend(
    id: string,
    body: Continuation & Pick<BuildSpec, 'platforms' | 'allowEmulation'>,
    signal: AbortSignal,
  ): Promise<string> {
    const answer = await this.#json('POST', `${buildPath(id)}/amend`, {
      body,
      signal,
      answerWithin: Infinity,
    });
    return this.#check(submittedSchema, answer).build;
  }

  /** The latest build that published a reference. */
  async publisher(reference: string, signal: AbortSignal): Promise<BuildResult> {
    const path = `v1/publisher?reference=${encodeURIComponent(reference)}`;
    return this.#check(buildResultSchema, await this.#json('GET', path, { signal }));
  }

  /** What a file of a build that goes on is called; undefined where the coordinator does not know. */
  async pathOf(id: string, digest: string, signal: AbortSignal): Promise<string | undefined> {
    const answer = await this.#json('GET', `${buildPath(id)}/path?digest=${digest}`, { signal });
    return this.#check(pathSchema, answer).path;
  }

  async agents(signal: AbortSignal): Promise<AgentInfo[]> {
    return this.#check(agentsSchema, await this.#json('GET', 'v1/agents', { signal })).agents;
  }

  /** The coordinator's own store of contexts; undefined where it is too old to tell. */
  async contextStore(signal: AbortSignal): Promise<StoreUsage | undefined> {
    try {
      return this.#check(storeSchema, await this.#json('GET', 'v1/store', { signal })).contexts;
    } catch (error) {
      if (error instanceof ArchfarmError && error.code === 'not-found') return undefined;
      throw error;
    }
  }

  /** Who could build what, and what registries would say to it, without building it. */
  async plan(
    request: Pick<BuildSpec, 'platforms' | 'allowEmulation' | 'tags' | 'suffix' | 'force'>,
    signal: AbortSignal,
  ): Promise<PlanAnswer> {
    return this.#check(planSchema, await this.#json('POST', 'v1/plan', { body: request, signal }));
  }

  async #json(method: string, path: string, options: Call): Promise<unknown> {
    const answer = await this.#request(method, path, options);
    try {
      const text = await readText(answer, maxAnswer);
      return text === '' ? undefined : this.#checked((): unknown => JSON.parse(text));
    } catch (error) {
      throw this.#failure(error, options.signal);
    }
  }

  /** `path` is below the coordinator's address. Gives answers of 2xx only. */
  async #request(method: string, path: string, call: Call): Promise<http.IncomingMessage> {
    const { signal, body, answerWithin = answerTimeout } = call;
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    let answer: http.IncomingMessage;
    try {
      answer = await this.#send(new URL(path, this.url), { method, payload, signal, answerWithin });
    } catch (error) {
      throw this.#failure(error, signal);
    }
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return answer;
    const text = await readText(answer, 64 * 1024).catch(() => '');
    throw this.#refusal(status, text);
  }

  #send(
    url: URL,
    sent: { method: string; payload: Buffer | undefined; signal: AbortSignal; answerWithin: number },
  ): Promise<http.IncomingMessage> {
    const { method, payload, signal, answerWithin } = sent;
    const { request } = url.protocol === 'https:' ? https : http;
    return new Promise((resolve, reject) => {
      const outgoing = request(url, {
        agent: this.#agent,
        method,
        signal,
        headers: {
          accept: 'application/json, application/x-ndjson',
          ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
          ...(payload === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': payload.length }),
        },
      });
      const late = (): unknown => outgoing.destroy(new Error(`no answer in ${answerWithin / 1000} s`));
      const timer = Number.isFinite(answerWithin) ? setTimeout(late, answerWithin) : undefined;
      // A silent peer that is gone is found by TCP in half a minute; a quiet build may take hours.
      outgoing.on('socket', (socket) => socket.setKeepAlive(true, 15_000));
      outgoing.on('close', () => clearTimeout(timer));
      outgoing.on('response', (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      outgoing.on('error', (error) => {
        // The server closed an idle connection just as it was taken up again; every call may be made twice.
        const stale = outgoing.reusedSocket && systemCode(error) === 'ECONNRESET';
        if (stale) resolve(this.#send(url, sent));
        else reject(error);
      });
      outgoing.end(payload);
    });
  }

  #refusal(status: number, text: string): ArchfarmError {
    const said = errorIn(text);
    if (status === 401 || status === 403) {
      return new ArchfarmError(
        'unauthorized',
        said?.message ?? `the coordinator ${this.url.host} refused the token`,
        {
          hint: said?.hint ?? 'give its token with --token-file or ARCHFARM_TOKEN',
        },
      );
    }
    if (said !== undefined) return said;
    if (status >= 500) {
      return new ArchfarmError('coordinator-unreachable', `${this.url.href} answered with status ${status}`);
    }
    return new ArchfarmError('protocol', `${this.url.href} answered with status ${status}`, {
      hint: 'is this the address of an archfarm coordinator?',
    });
  }

  #failure(error: unknown, signal: AbortSignal): Error {
    if (signal.aborted) return reasonOf(signal);
    if (error instanceof ArchfarmError) return error;
    return new ArchfarmError(
      'coordinator-unreachable',
      `cannot reach the coordinator ${this.url.href}: ${messageOf(error)}`,
      { cause: error, hint: hintFor(error) },
    );
  }

  #check<T>(schema: v.GenericSchema<unknown, T>, answer: unknown): T {
    return this.#checked(() => v.parse(schema, answer));
  }

  #checked<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw new ArchfarmError(
        'protocol',
        `the coordinator ${this.url.host} gave an answer that is not understood: ${messageOf(error)}`,
        { cause: error, hint: 'are client and coordinator of the same version?' },
      );
    }
  }
}

function buildPath(id: string): string {
  return `v1/builds/${encodeURIComponent(id)}`;
}

function errorIn(text: string): ArchfarmError | undefined {
  try {
    return fromErrorInfo(v.parse(errorAnswerSchema, JSON.parse(text)).error);
  } catch {
    return undefined;
  }
}

function hintFor(error: unknown): string {
  const code = systemCode(error) ?? '';
  return /CERT|SELF_SIGNED|SSL|TLS/.test(code)
    ? 'its certificate is not trusted here: NODE_EXTRA_CA_CERTS names a file of further authorities'
    : 'is it running there? archfarm serve starts one';
}

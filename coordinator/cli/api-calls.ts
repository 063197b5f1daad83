/** Calls of the coordinator's HTTP API: JSON in and out, and errors that say what a user can do about them. */
import http from 'node:http';
import https from 'node:https';
import * as v from 'valibot';
import { reasonOf } from '../../shared/abort.ts';
import { ArchfarmError, fromErrorInfo, messageOf, systemCode } from '../../shared/errors.ts';
import { tlsTrouble, type TlsTrust } from '../../shared/trust.ts';
import { readLines, readText } from './answer-body.ts';
import { errorAnswerSchema } from './api-answers.ts';

/** Bytes of one answer; the largest is a list of builds. */
const maxAnswer = 16 * 1024 * 1024;
/** Milliseconds until an answer must have begun. */
const answerTimeout = 30_000;

export interface ApiOptions {
  readonly url: URL;
  readonly token?: string | undefined;
  readonly trust?: TlsTrust | undefined;
}

export interface Call {
  readonly signal: AbortSignal;
  readonly body?: unknown;
  /** Milliseconds until the answer must have begun; infinite for what waits for a transfer or an agent. */
  readonly answerWithin?: number;
}

/** One object is one connection pool: dispose of it when done. */
export class ApiCalls implements Disposable {
  readonly url: URL;
  readonly #token: string | undefined;
  readonly #agent: http.Agent;

  constructor({ url, token, trust }: ApiOptions) {
    this.url = url;
    this.#token = token;
    this.#agent =
      url.protocol === 'https:'
        ? new https.Agent({ keepAlive: true, ...trust })
        : new http.Agent({ keepAlive: true });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  /** The answer, read by its schema. `path` is below the coordinator's address. */
  async read<T>(
    schema: v.GenericSchema<unknown, T>,
    [method, path]: readonly [method: string, path: string],
    call: Call,
  ): Promise<T> {
    const answer = await this.#json(method, path, call);
    return this.#checked(() => v.parse(schema, answer));
  }

  /** For what answers nothing that matters. */
  async send(method: string, path: string, call: Call): Promise<void> {
    await this.#json(method, path, call);
  }

  /** The lines of an answer that may be a long time coming, each read by `parse`. */
  async *lines<T>(
    path: string,
    options: {
      readonly parse: (line: unknown) => T;
      readonly signal: AbortSignal;
      /** The coordinator has begun to answer. */
      readonly onOpen?: (() => void) | undefined;
      /** Posted, where there is one. */
      readonly body?: unknown;
      readonly answerWithin?: number;
    },
  ): AsyncGenerator<T> {
    const { parse, onOpen, ...call } = options;
    const { signal } = call;
    const method = call.body === undefined ? 'GET' : 'POST';
    const answer = await this.#request(method, path, call);
    onOpen?.();
    try {
      for await (const line of readLines(answer)) yield this.#checked(() => parse(JSON.parse(line)));
    } catch (error) {
      throw this.#failure(error, signal);
    } finally {
      answer.destroy();
    }
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
        said?.code ?? 'unauthorized',
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
    const trouble = tlsTrouble(error, this.url);
    return new ArchfarmError(
      'coordinator-unreachable',
      trouble === undefined
        ? `cannot reach the coordinator ${this.url.href}: ${messageOf(error)}`
        : `the coordinator ${this.url.href} ${trouble.what}`,
      trouble === undefined
        ? { cause: error, hint: 'is it running there? archfarm serve starts one' }
        : { hint: trouble.hint },
    );
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

function errorIn(text: string): ArchfarmError | undefined {
  try {
    return fromErrorInfo(v.parse(errorAnswerSchema, JSON.parse(text)).error);
  } catch {
    return undefined;
  }
}

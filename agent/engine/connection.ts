/** One engine's API: where it listens, how to ask it, and what its failures mean. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Readable, Duplex } from 'node:stream';
import Docker from 'dockerode';
import { ArchfarmError } from '../../shared/errors.ts';
import { reasonOf } from '../../shared/abort.ts';
import { fromEngine } from './engine-error.ts';

/** Environment variables that say where the engine is, as docker reads them. */
export type DockerEnvironment = Readonly<Record<string, string | undefined>>;

export interface ConnectionOptions {
  /** `unix:///path` or `tcp://host:port`; without it, what the environment says. */
  readonly host?: string | undefined;
  readonly environment: DockerEnvironment;
}

export interface StreamRequest {
  readonly signal: AbortSignal;
  /** A list becomes a repeated parameter, another object its JSON. */
  readonly query: Readonly<Record<string, unknown>>;
}

const defaultHost = 'unix:///var/run/docker.sock';

export class Connection {
  readonly host: string;
  readonly #docker: Docker;

  constructor({ host, environment }: ConnectionOptions) {
    this.host = host || environment['DOCKER_HOST'] || defaultHost;
    this.#docker = new Docker(endpointOf(this.host, environment));
  }

  /** A call that dockerode has a method for. Give that the signal, too. */
  async ask<T>(signal: AbortSignal, call: (docker: Docker) => Promise<T>): Promise<T> {
    if (signal.aborted) throw reasonOf(signal);
    try {
      return await call(this.#docker);
    } catch (error) {
      throw this.failure(error, signal);
    }
  }

  /** Gets what the engine says at a path, unchecked. */
  get(path: string, signal: AbortSignal): Promise<unknown> {
    return this.#dial(signal, {
      path,
      method: 'GET',
      // A connection that was kept open goes on answering when its socket is gone for all others.
      headers: { Connection: 'close' },
      statusCodes: { 200: true, 500: 'server error' },
    });
  }

  /** Posts without a body and gives what the engine says, unchecked. */
  post(path: string, { signal, query }: StreamRequest): Promise<unknown> {
    return this.#dial(signal, {
      path: `${path}?`,
      method: 'POST',
      options: { _query: query, _body: {} },
      headers: {},
      statusCodes: { 200: true, 500: 'server error' },
    });
  }

  /** Posts without a body and gives the response's stream. */
  async stream(path: string, { signal, query }: StreamRequest): Promise<Readable> {
    const response = await this.#dial(signal, {
      path: `${path}?`,
      method: 'POST',
      isStream: true,
      // A body that nobody reads makes the engine hold back its answer: there must not be one.
      options: { _query: query, _body: {} },
      // Keep-alive has been seen to mix up the next request on this connection.
      headers: { Connection: 'close' },
      statusCodes: { 200: true, 400: 'bad request', 500: 'server error' },
    });
    if (response instanceof Readable) return response;
    throw new ArchfarmError('engine-error', `${this.host} gave no stream for ${path}`);
  }

  /** Turns a request into a plain connection in both directions. */
  async hijack(
    path: string,
    { signal, headers }: { signal: AbortSignal; headers: Record<string, string | string[]> },
  ): Promise<Duplex> {
    const socket = await this.#dial(signal, {
      path,
      method: 'POST',
      hijack: true,
      headers,
      statusCodes: { 101: true, 200: true, 500: 'server error' },
    });
    if (socket instanceof Duplex) return socket;
    throw new ArchfarmError('engine-error', `${this.host} did not switch protocols for ${path}`);
  }

  /** What a failed request means: an abort, an engine that is away, or one that refuses. */
  failure(error: unknown, signal: AbortSignal): Error {
    return signal.aborted ? reasonOf(signal) : fromEngine(error, this.host);
  }

  #dial(signal: AbortSignal, request: Omit<DialRequest, 'abortSignal'>): Promise<unknown> {
    const modem: Dialer = this.#docker.modem;
    if (signal.aborted) return Promise.reject(reasonOf(signal));
    return new Promise((resolve, reject) => {
      modem.dial({ ...request, abortSignal: signal }, (error, result) => {
        if (error) reject(this.failure(error, signal));
        else resolve(result);
      });
    });
  }
}

/** The part of docker-modem that dockerode has no method for; its own types leave it `any`. */
interface Dialer {
  dial(request: DialRequest, callback: (error: Error | null, result: unknown) => void): void;
}

interface DialRequest {
  path: string;
  method: string;
  abortSignal: AbortSignal;
  headers: Record<string, string | string[]>;
  statusCodes: Record<number, true | string>;
  isStream?: boolean;
  hijack?: boolean;
  options?: object;
}

/** Every key is given: those left out would be taken from DOCKER_HOST, whatever the host is. */
function endpointOf(host: string, environment: DockerEnvironment): Docker.DockerOptions {
  const none = { socketPath: undefined, host: undefined, port: undefined };
  const plain = { protocol: 'http' as const, ca: undefined, cert: undefined, key: undefined };
  if (host.startsWith('unix://')) return { ...none, ...plain, socketPath: host.slice('unix://'.length) };
  const url = URL.canParse(host) ? new URL(host) : undefined;
  if (url === undefined || !['tcp:', 'http:', 'https:'].includes(url.protocol)) {
    throw new ArchfarmError('config', `cannot use ${JSON.stringify(host)} as the Docker host`, {
      hint: 'the forms are unix:///path/to/docker.sock and tcp://HOST:PORT; run the agent beside its engine',
    });
  }
  const secure = Boolean(environment['DOCKER_TLS_VERIFY']) || url.protocol === 'https:';
  const port = url.port || (secure ? '2376' : '2375');
  const address = { ...none, host: url.hostname, port };
  return secure ? { ...address, protocol: 'https', ...certificates(environment) } : { ...address, ...plain };
}

function certificates(environment: DockerEnvironment): Pick<Docker.DockerOptions, 'ca' | 'cert' | 'key'> {
  const directory = environment['DOCKER_CERT_PATH'] || join(homedir(), '.docker');
  const read = (name: string): Buffer => {
    const path = join(directory, name);
    try {
      return readFileSync(path);
    } catch (cause) {
      throw new ArchfarmError('config', `cannot read ${path}`, {
        cause,
        hint: 'DOCKER_CERT_PATH names the directory of ca.pem, cert.pem and key.pem',
      });
    }
  };
  return { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') };
}

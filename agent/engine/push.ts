/**
 * Pushing an image by its id. The engine pushes by name only, and whoever moves the tag meanwhile gets their image
 * pushed instead: so names are locked here, and what was pushed is proven to be this image.
 */
import type Docker from 'dockerode';
import { Readable } from 'node:stream';
import * as v from 'valibot';
import { ArchfarmError } from '../../shared/errors.ts';
import type { Digest } from '../../shared/context/tree.ts';
import type { PushEvent } from '../../shared/progress.ts';
import { isDigest, parseReference, type Reference } from '../../shared/reference.ts';
import type { RegistryAuth } from '../../shared/task.ts';
import type { Connection } from './connection.ts';
import { fromFailedPush } from './engine-error.ts';
import { inspectImage } from './image.ts';
import { errorOf, readMessages, type EngineMessage } from './messages.ts';

export interface PushRequest {
  readonly imageId: Digest;
  /** With registry and tag: `host/onap/py-app-amd64:latest`. */
  readonly reference: string;
  readonly auth: RegistryAuth;
}

export interface PushOptions {
  readonly signal: AbortSignal;
  readonly onEvent: (event: PushEvent) => void;
}

export interface Pushed {
  /** Of the manifest, or of the index that holds it. */
  readonly digest: Digest;
  /** Bytes of that manifest or index. */
  readonly size: number;
}

/** Others outside this process may move the tag; that often in a row, somebody is doing it on purpose. */
const attempts = 3;

/** Milliseconds between two events of a layer whose status stays. */
const eventInterval = 500;

/** The caller holds the lock of this reference. */
export async function push(
  connection: Connection,
  request: PushRequest,
  options: PushOptions,
): Promise<Pushed> {
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const pushed = await pushOnce(connection, { ...request, ...options });
    if (await isOf(connection, { imageId: request.imageId, digest: pushed.digest, signal: options.signal })) {
      return pushed;
    }
  }
  throw new ArchfarmError(
    'engine-error',
    `the tag ${request.reference} was moved during each of ${attempts} pushes`,
    {
      hint: `something else tags images with this name on the engine at ${connection.host}`,
    },
  );
}

async function pushOnce(connection: Connection, push: PushRequest & PushOptions): Promise<Pushed> {
  const { imageId, reference, auth, signal, onEvent } = push;
  const target = parseReference(reference);
  const repo = `${target.registry}/${target.repository}`;
  const tag = target.tag ?? 'latest';
  await connection.ask(signal, (docker) => docker.getImage(imageId).tag({ repo, tag, abortSignal: signal }));
  const stream = await connection.ask(signal, (docker) =>
    startPush(docker, { repo, tag, signal, authconfig: authConfig(auth, target) }),
  );
  const throttled = throttle(onEvent);
  let pushed: Pushed | undefined;
  let error: string | undefined;
  try {
    for await (const message of readMessages(stream)) {
      error = errorOf(message) ?? error;
      pushed = pushedOf(message) ?? pushed;
      const event = eventOf(message);
      if (event !== undefined) throttled(event);
    }
  } catch (thrown) {
    throw connection.failure(thrown, signal);
  }
  if (error !== undefined) {
    throw fromFailedPush(error, { host: connection.host, registry: target.registry, reference });
  }
  if (pushed === undefined) {
    throw new ArchfarmError(
      'engine-error',
      `${connection.host} ended the push of ${reference} without a digest`,
    );
  }
  return pushed;
}

interface Proof {
  readonly imageId: Digest;
  readonly digest: Digest;
  readonly signal: AbortSignal;
}

/** With the containerd image store an image's id is the pushed digest; else the engine notes what it pushed. */
async function isOf(connection: Connection, { imageId, digest, signal }: Proof): Promise<boolean> {
  if (digest === imageId) return true;
  const { repoDigests } = await inspectImage(connection, { imageId, signal });
  return repoDigests.some((known) => known.endsWith(`@${digest}`));
}

interface PushCall {
  readonly repo: string;
  readonly tag: string;
  readonly signal: AbortSignal;
  readonly authconfig: Docker.AuthConfigObject;
}

async function startPush(docker: Docker, { repo, tag, signal, authconfig }: PushCall): Promise<Readable> {
  const stream = await docker.getImage(repo).push({ tag, authconfig, abortSignal: signal });
  return stream instanceof Readable ? stream : Readable.from(stream);
}

function authConfig(auth: RegistryAuth, { registry }: Reference): Docker.AuthConfigObject {
  switch (auth.type) {
    case 'bearer':
      return { registrytoken: auth.token };
    case 'basic':
      return { username: auth.username, password: auth.password, serveraddress: registry };
    case 'anonymous':
      return {};
    default:
      return auth satisfies never;
  }
}

function pushedOf({ aux }: EngineMessage): Pushed | undefined {
  const parsed = v.safeParse(pushedSchema, aux);
  return parsed.success ? { digest: parsed.output.Digest, size: parsed.output.Size } : undefined;
}

const pushedSchema = v.object({ Digest: v.pipe(v.string(), v.check(isDigest)), Size: v.number() });

function eventOf({ id, status, progressDetail }: EngineMessage): PushEvent | undefined {
  if (id === undefined || status === undefined) return undefined;
  const { current, total } = progressDetail ?? {};
  return { type: 'push', time: Date.now(), layer: id, status, current, total };
}

/** Passes on each change of a layer's status, and its progress now and then. */
function throttle(onEvent: (event: PushEvent) => void): (event: PushEvent) => void {
  const last = new Map<string, PushEvent>();
  return (event) => {
    const before = last.get(event.layer);
    if (before?.status === event.status && event.time - before.time < eventInterval) return;
    last.set(event.layer, event);
    onEvent(event);
  };
}

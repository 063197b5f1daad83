/**
 * Pushing an image by its id. The engine pushes by name only, and whoever moves the tag meanwhile gets their image
 * pushed instead: so names are locked here, and what was pushed is proven to be this image. The engine keeps the one
 * token that it was given: where it expires, the image is pushed again with another, past the layers that are there.
 */
import type Docker from 'dockerode';
import { Readable } from 'node:stream';
import * as v from 'valibot';
import { ArchfarmError } from '../../shared/errors.ts';
import type { Digest } from '../../shared/context/tree.ts';
import type { PushEvent } from '../../shared/progress.ts';
import { isDigest, parseReference, type Reference } from '../../shared/reference.ts';
import type { RegistryAuth } from '../../shared/task.ts';
import { authConfig } from './auth-config.ts';
import type { Connection } from './connection.ts';
import { fromExpiredToken, fromFailedPush, isRefusedToken } from './engine-error.ts';
import { inspectImage } from './image.ts';
import { errorOf, readMessages, type EngineMessage } from './messages.ts';
import { PushLayers } from './push-layers.ts';

export interface PushRequest {
  readonly imageId: Digest;
  /** With registry and tag: `host/onap/py-app-amd64:latest`. */
  readonly reference: string;
  /** Asked for when the push begins, and when what it gave has expired. */
  readonly auth: (signal: AbortSignal) => Promise<RegistryAuth>;
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

/** The caller holds the lock of this reference. */
export async function push(
  connection: Connection,
  request: PushRequest,
  options: PushOptions,
): Promise<Pushed> {
  const layers = new PushLayers(options.onEvent);
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const pushed = await pushWhole(connection, { ...request, signal: options.signal }, layers);
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

interface Push extends PushRequest {
  readonly signal: AbortSignal;
}

/** With as many tokens as it takes, as long as each brings at least one more layer there. */
async function pushWhole(connection: Connection, push: Push, layers: PushLayers): Promise<Pushed> {
  const { reference, signal } = push;
  const target = { host: connection.host, registry: parseReference(reference).registry, reference };
  for (;;) {
    // Neither needs the other; both are over before anything is thrown, as the tag is ours only under the lock.
    const [asked, tagged] = await Promise.allSettled([push.auth(signal), tag(connection, push)]);
    if (asked.status === 'rejected') throw asked.reason;
    if (tagged.status === 'rejected') throw tagged.reason;
    const auth = asked.value;
    const since = performance.now();
    const landed = layers.landed;
    const pushed = await pushOnce(connection, { ...push, auth }, layers);
    if (typeof pushed !== 'string') return pushed;
    if (auth.type === 'bearer' && isRefusedToken(pushed)) {
      if (layers.landed > landed) continue;
      const { lifetime } = auth;
      if (lifetime !== undefined && performance.now() - since >= lifetime) {
        throw fromExpiredToken(pushed, { ...target, lifetime, layers: layers.unfinished });
      }
    }
    throw fromFailedPush(pushed, target);
  }
}

async function tag(connection: Connection, { imageId, reference, signal }: Push): Promise<void> {
  const name = nameOf(parseReference(reference));
  await connection.ask(signal, (docker) => docker.getImage(imageId).tag({ ...name, abortSignal: signal }));
}

function nameOf({ registry, repository, tag: name }: Reference): Pick<PushCall, 'repo' | 'tag'> {
  return { repo: `${registry}/${repository}`, tag: name ?? 'latest' };
}

/** Text is the error that the engine ended it with. The image has the name already. */
async function pushOnce(
  connection: Connection,
  push: Omit<Push, 'auth'> & { readonly auth: RegistryAuth },
  layers: PushLayers,
): Promise<Pushed | string> {
  const { reference, auth, signal } = push;
  const target = parseReference(reference);
  const { repo, tag } = nameOf(target);
  const stream = await connection.ask(signal, (docker) =>
    startPush(docker, { repo, tag, signal, authconfig: authConfig(auth, target.registry) }),
  );
  layers.begin();
  let pushed: Pushed | undefined;
  let error: string | undefined;
  try {
    for await (const message of readMessages(stream)) {
      error = errorOf(message) ?? error;
      pushed = pushedOf(message) ?? pushed;
      const event = eventOf(message);
      if (event !== undefined) layers.note(event);
    }
  } catch (thrown) {
    throw connection.failure(thrown, signal);
  }
  if (error !== undefined) return error;
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

function pushedOf({ aux }: EngineMessage): Pushed | undefined {
  const parsed = v.safeParse(pushedSchema, aux);
  return parsed.success ? { digest: parsed.output.Digest, size: parsed.output.Size } : undefined;
}

const pushedSchema = v.object({ Digest: v.pipe(v.string(), v.check(isDigest)), Size: v.number() });

function eventOf({ id, status, progressDetail }: EngineMessage): PushEvent | undefined {
  if (id === undefined || status === undefined) return undefined;
  const current = progressDetail?.current ?? undefined;
  const total = progressDetail?.total ?? undefined;
  return { type: 'push', time: Date.now(), layer: id, status, current, total };
}

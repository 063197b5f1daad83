/** A look into an image: a container of it that is created but never started, and gone with the probe. */
import type Docker from 'dockerode';
import { randomUUID } from 'node:crypto';
import { IncomingMessage } from 'node:http';
import { posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { extract, type Extract } from 'tar-stream';
import * as v from 'valibot';
import { buffers } from '../../shared/context/buffers.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import type { Digest } from '../../shared/context/tree.ts';
import type { Connection } from './connection.ts';
import { isRefusal } from './engine-error.ts';

export interface ProbeOptions {
  /** Of no other process with this engine, and the same again after a restart. */
  readonly owner: string;
  readonly imageId: Digest;
  /** The image's. */
  readonly volumes: readonly string[];
  readonly signal: AbortSignal;
}

/** Its disposer never rejects. */
export interface Probe extends AsyncDisposable {
  /** Where an executable file is when all links are followed; undefined when there is none at this path. */
  locate(path: string): Promise<string | undefined>;
  /** The first bytes of a file that was located. */
  head(path: string): Promise<Buffer>;
}

/** Milliseconds for creating the container, and for removing it: both go on when the signal has aborted. */
const patience = 10_000;

/** Engines resolve a link in one go; this is for those that give just its text. */
const maxLinks = 10;

/** An ELF header, and the longest `#!` line that Linux reads. */
const headBytes = 256;

/** On each container: who made it. */
const ownerLabel = 'archfarm.probe';

/** Names of the containers that this process has. */
const open = new Set<string>();

export async function openProbe(connection: Connection, options: ProbeOptions): Promise<Probe> {
  const { signal } = options;
  const name = `archfarm-probe-${randomUUID()}`;
  open.add(name);
  // What cannot be removed now is swept later, and is no reason to drop what was found.
  const close = async (): Promise<void> => {
    await remove(connection, name).catch(() => {});
    open.delete(name);
  };
  try {
    await create(connection, name, options);
  } catch (error) {
    // The engine may have made it without being able to say so.
    await close();
    throw error;
  }
  return {
    locate: (path) => locate(connection, { name, path, signal }),
    head: (path) => head(connection, { name, path, signal }),
    [Symbol.asyncDispose]: close,
  };
}

/** Removes what an owner that was killed left behind; engines do so only when they start. */
export async function sweepProbes(connection: Connection, owner: string, signal: AbortSignal): Promise<void> {
  const filters = { label: [`${ownerLabel}=${owner}`] };
  const found = await connection.ask(signal, (docker) =>
    docker.listContainers({ all: true, filters, abortSignal: signal }),
  );
  const names = found.flatMap(({ Names }) => Names.map((name) => name.replace(/^\//, '')));
  await Promise.allSettled(names.filter((name) => !open.has(name)).map((name) => remove(connection, name)));
}

/** Not under the signal: an engine goes on with what it was asked, and what it makes must be known to be removed. */
async function create(
  connection: Connection,
  name: string,
  { owner, imageId, volumes, signal }: ProbeOptions,
): Promise<void> {
  signal.throwIfAborted();
  const limit = AbortSignal.timeout(patience);
  const targets = new Set(volumes.map((volume) => posix.resolve('/', volume)));
  targets.delete('/');
  const container: Docker.ContainerCreateOptions = {
    Image: imageId,
    // There must be one, and images need not have any.
    Entrypoint: ['archfarm-probe'],
    Labels: { [ownerLabel]: owner },
    NetworkDisabled: true,
    HostConfig: {
      NetworkMode: 'none',
      // Engines remove these when they start, should this process die before it does.
      AutoRemove: true,
      // Else each volume is made, with a copy of all that the image has there.
      Mounts: [...targets].map((Target) => ({ Type: 'tmpfs', Target, Source: '' })),
    },
  };
  // Apart, or all of it would be put into the address, too.
  const request = { _query: { name }, _body: container, abortSignal: limit };
  await connection.ask(limit, (docker) => docker.createContainer(request));
}

async function remove(connection: Connection, name: string): Promise<void> {
  const limit = AbortSignal.timeout(patience);
  await connection.ask(limit, (docker) =>
    docker.getContainer(name).remove({ force: true, v: true, abortSignal: limit }),
  );
}

interface Question {
  readonly name: string;
  readonly path: string;
  readonly signal: AbortSignal;
}

const statSchema = v.object({ mode: v.number(), linkTarget: v.optional(v.string(), '') });

type Stat = v.InferOutput<typeof statSchema>;

/** Go's file modes, https://pkg.go.dev/io/fs#FileMode: directory, link, device, pipe, socket and the like. */
const notRegular = 0x8f28_0000;
const executable = 0o111;

async function locate(connection: Connection, question: Question): Promise<string | undefined> {
  let path = question.path;
  for (let links = 0; links <= maxLinks; links += 1) {
    const found = await stat(connection, { ...question, path });
    if (found === undefined) return undefined;
    if (found.linkTarget === '') {
      return (found.mode & notRegular) === 0 && (found.mode & executable) !== 0 ? path : undefined;
    }
    path = posix.resolve(posix.dirname(path), found.linkTarget);
  }
  return undefined;
}

/** Far cheaper than reading: for that older engines start a process of their own. */
async function stat(connection: Connection, { name, path, signal }: Question): Promise<Stat | undefined> {
  const response: unknown = await connection.ask(signal, (docker) =>
    docker
      .getContainer(name)
      .infoArchive({ path, abortSignal: signal })
      // Engines say 404 or, below a file and in a loop of links, 500.
      .catch((error: unknown) => (isRefusal(error) ? undefined : Promise.reject(error))),
  );
  if (response === undefined) return undefined;
  const encoded = response instanceof IncomingMessage && response.headers['x-docker-container-path-stat'];
  if (typeof encoded !== 'string') {
    throw new ArchfarmError('engine-error', `${connection.host} does not say what ${path} is`);
  }
  if (response instanceof IncomingMessage) response.resume();
  return v.parse(statSchema, JSON.parse(Buffer.from(encoded, 'base64').toString()));
}

async function head(connection: Connection, { name, path, signal }: Question): Promise<Buffer> {
  const stream = await connection.ask(signal, (docker) =>
    docker.getContainer(name).getArchive({ path, abortSignal: signal }),
  );
  const unpacked = extract();
  const feeding = pipeline(stream, unpacked);
  try {
    return await firstBytes(unpacked);
  } catch (error) {
    throw connection.failure(error, signal);
  } finally {
    // What was not read is not wanted: the engine stops sending.
    unpacked.destroy();
    await feeding.catch(() => {});
  }
}

async function firstBytes(unpacked: Extract): Promise<Buffer> {
  for await (const entry of unpacked) {
    let bytes = Buffer.alloc(0);
    for await (const chunk of buffers(entry)) {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length >= headBytes) break;
    }
    return bytes.subarray(0, headBytes);
  }
  throw new Error('an archive without an entry');
}

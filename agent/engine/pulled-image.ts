/** An image that is pulled by its digest for a while: afterwards the engine has it only if it had it before. */
import { Readable } from 'node:stream';
import { ArchfarmError } from '../../shared/errors.ts';
import type { Digest } from '../../shared/context/tree.ts';
import { parseReference } from '../../shared/reference.ts';
import type { RegistryAuth } from '../../shared/task.ts';
import { authConfig } from './auth-config.ts';
import type { Connection } from './connection.ts';
import { fromFailedPull, isRefusal } from './engine-error.ts';
import { findImage } from './image.ts';
import { errorOf, readMessages } from './messages.ts';

export interface Pull {
  /** With a digest: `host/onap/py-app@sha256:…`. */
  readonly reference: string;
  /** Which image of a list is meant, formatted. */
  readonly platform: string;
  readonly auth: RegistryAuth;
}

/** Its disposer never rejects. */
export interface PulledImage extends AsyncDisposable {
  readonly imageId: Digest;
}

/** Milliseconds for taking the name away again, which goes on when the signal has aborted. */
const removePatience = 30_000;

/** The caller holds the lock of this reference, until the image is disposed of: an engine has one image to a name. */
export async function pullImage(
  connection: Connection,
  pull: Pull,
  signal: AbortSignal,
): Promise<PulledImage> {
  const { reference } = pull;
  const before = await findImage(connection, { reference, signal });
  const remove = async (): Promise<void> => {
    // An engine that keeps it costs disk, and is no reason to drop what the image was found to be.
    if (before === undefined) await untag(connection, reference).catch(() => {});
  };
  try {
    await download(connection, pull, signal);
    const imageId = await findImage(connection, { reference, signal });
    if (imageId !== undefined) return { imageId, [Symbol.asyncDispose]: remove };
    throw new ArchfarmError('engine-error', `${connection.host} pulled ${reference} and does not have it`);
  } catch (error) {
    // A pull that was given up may have come through all the same.
    await remove();
    throw error;
  }
}

async function download(
  connection: Connection,
  { reference, platform, auth }: Pull,
  signal: AbortSignal,
): Promise<void> {
  const { registry } = parseReference(reference);
  const stream = await connection.ask(signal, (docker) =>
    docker.createImage(authConfig(auth, registry), { fromImage: reference, platform, abortSignal: signal }),
  );
  let error: string | undefined;
  try {
    const readable = stream instanceof Readable ? stream : Readable.from(stream);
    for await (const message of readMessages(readable)) error = errorOf(message) ?? error;
  } catch (thrown) {
    throw connection.failure(thrown, signal);
  }
  if (error !== undefined) throw fromFailedPull(error, { host: connection.host, registry, reference });
}

/** The layers go with the last name of the image. */
async function untag(connection: Connection, reference: string): Promise<void> {
  const limit = AbortSignal.timeout(removePatience);
  await connection.ask(limit, (docker) =>
    docker
      .getImage(reference)
      .remove({ abortSignal: limit })
      .catch((error: unknown) => (isRefusal(error) ? undefined : Promise.reject(error))),
  );
}

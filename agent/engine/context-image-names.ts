/** The names that images of named contexts have in an engine while a build refers to them. */
import { randomBytes } from 'node:crypto';
import type { Connection } from './connection.ts';

/**
 * Nobody listens there, on no host: an engine that asks the registry before it looks at what it holds is refused at
 * once, without a word to the outside.
 */
export const imageRepository = '127.0.0.1:1/archfarm/context';

/** Milliseconds after which a name is one that an agent which was killed left behind. */
const leftBehindAfter = 7 * 24 * 3600 * 1000;

/** Milliseconds for the engine to forget them. */
const removeWithin = 10_000;

/** No other build has them: one that ends must not take what another still needs. */
export function contextImageNames(count: number): string[] {
  const build = `${Date.now()}-${randomBytes(8).toString('hex')}`;
  return Array.from({ length: count }, (_, index) => `${imageRepository}:${build}-${index}`);
}

/** Never rejects: what stays is removed with those left behind. */
export async function removeImageNames(connection: Connection, names: readonly string[]): Promise<void> {
  const signal = AbortSignal.timeout(removeWithin);
  await Promise.allSettled(
    names.map((name) =>
      connection.ask(signal, (docker) => docker.getImage(name).remove({ abortSignal: signal })),
    ),
  );
}

export async function removeOldImageNames(connection: Connection, signal: AbortSignal): Promise<void> {
  const images = await connection.ask(signal, (docker) =>
    docker.listImages({ filters: { reference: [imageRepository] }, abortSignal: signal }),
  );
  const old = images
    .flatMap(({ RepoTags }) => RepoTags ?? [])
    .filter(
      (name) =>
        Date.now() - Number(/:(\d+)-/.exec(name.slice(imageRepository.length))?.[1]) > leftBehindAfter,
    );
  await removeImageNames(connection, old);
}

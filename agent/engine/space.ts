/** What takes an engine's disk: the images it has, and the cache of its builds. */
import * as v from 'valibot';
import type { Digest } from '../../shared/context/tree.ts';
import { isDigest } from '../../shared/reference.ts';
import type { Connection } from './connection.ts';
import { isRefusal } from './engine-error.ts';

export interface HeldImage {
  readonly id: Digest;
  readonly tags: readonly string[];
  /** Tags, and `repository@digest` of where it was pushed to or pulled from. */
  readonly names: readonly string[];
}

const named = v.nullish(v.array(v.string()), []);
const imageSchema = v.object({
  Id: v.pipe(v.string(), v.check(isDigest)),
  RepoTags: named,
  RepoDigests: named,
});

/** Every image of the engine but the layers of others. */
export async function listImages(connection: Connection, signal: AbortSignal): Promise<HeldImage[]> {
  return v.parse(v.array(imageSchema), await connection.get('/images/json', signal)).map(heldImage);
}

/** Undefined when it is not there. */
export async function lookAtImage(
  connection: Connection,
  id: Digest,
  signal: AbortSignal,
): Promise<HeldImage | undefined> {
  const found = await connection
    .get(`/images/${id}/json`, signal)
    .catch((error: unknown) =>
      error instanceof Error && isGone(error.cause) ? undefined : Promise.reject(error),
    );
  return found === undefined ? undefined : heldImage(v.parse(imageSchema, found));
}

function heldImage({ Id: id, RepoTags, RepoDigests }: v.InferOutput<typeof imageSchema>): HeldImage {
  const tags = (RepoTags ?? []).filter(isName);
  return { id, tags, names: [...tags, ...(RepoDigests ?? []).filter(isName)] };
}

/** Older engines write so what has no name. */
function isName(text: string): boolean {
  return !text.includes('<none>');
}

/** With all its tags. Gives whether it is gone: the engine will not when a container has it, say. */
export async function removeImage(
  connection: Connection,
  { id, tags }: HeldImage,
  signal: AbortSignal,
): Promise<boolean> {
  // By its id an engine removes only what has one tag at most; with the last tag the image goes.
  for (const name of tags.length > 0 ? tags : [id]) {
    if (!(await remove(connection, name, signal))) return false;
  }
  return (await lookAtImage(connection, id, signal)) === undefined;
}

function remove(connection: Connection, name: string, signal: AbortSignal): Promise<boolean> {
  return connection.ask(signal, (docker) =>
    docker
      .getImage(name)
      .remove({ abortSignal: signal })
      .then(() => true)
      .catch((error: unknown) => (isRefusal(error) ? isGone(error) : Promise.reject(error))),
  );
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'statusCode' in error && error.statusCode === 404;
}

const usageSchema = v.object({
  BuildCache: v.nullish(v.array(v.object({ Shared: v.boolean(), Size: v.number() })), []),
});

/** Bytes of the build cache that are not an image's as well. */
export async function cacheBytes(connection: Connection, signal: AbortSignal): Promise<number> {
  // Older engines ignore the type, and count everything.
  const usage = v.parse(usageSchema, await connection.get('/system/df?type=build-cache', signal));
  return (usage.BuildCache ?? []).reduce((sum, { Shared, Size }) => sum + (Shared ? 0 : Size), 0);
}

const prunedSchema = v.object({ SpaceReclaimed: v.number() });

/**
 * Removes what was not used for longest until no more than `keep` bytes are left, and nothing that a build holds.
 * Gives the bytes removed.
 */
export async function pruneCache(
  connection: Connection,
  { keep, signal }: { keep: number; signal: AbortSignal },
): Promise<number> {
  // The second is the first's name since API 1.48.
  const query = keep <= 0 ? {} : { 'keep-storage': Math.ceil(keep), 'reserved-space': Math.ceil(keep) };
  return v.parse(prunedSchema, await connection.post('/build/prune', { signal, query })).SpaceReclaimed;
}

/** How large a context may be. A coordinator's limits hold for its clients, and each error says how to raise them. */
import { ArchfarmError } from '../errors.ts';

export interface ContextLimits {
  /** Files, directories and links together. */
  readonly entries: number;
  /** Bytes of all files. */
  readonly bytes: number;
  /** Bytes of a path from the root of the context. */
  readonly pathBytes: number;
  /** Bytes of one name. */
  readonly nameBytes: number;
}

export const defaultLimits: ContextLimits = {
  entries: 200_000,
  bytes: 20 * 1024 ** 3,
  pathBytes: 4096,
  nameBytes: 255,
};

const described: Readonly<Record<keyof ContextLimits, string>> = {
  entries: 'files, directories and links',
  bytes: 'bytes of files',
  pathBytes: 'bytes in a path',
  nameBytes: 'bytes in a name',
};

/** Throws `context-limit` when `value` is above the limit; `where` names the path, if one is at fault. */
export function checkLimit(
  limits: ContextLimits,
  measured: { readonly limit: keyof ContextLimits; readonly value: number; readonly where?: string },
): void {
  const { limit, value, where } = measured;
  if (value <= limits[limit]) return;
  const place = where === undefined ? 'the context' : JSON.stringify(where);
  throw new ArchfarmError(
    'context-limit',
    `${place} has ${value} ${described[limit]}, more than the limit of ${limits[limit]}`,
    {
      hint:
        limit === 'pathBytes' || limit === 'nameBytes'
          ? 'shorten it or leave it out with .dockerignore'
          : `leave out what the build does not need with .dockerignore, or raise the limit ${limit} where the context limits are set`,
    },
  );
}

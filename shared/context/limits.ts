/** How large a context may be. A coordinator's limits hold for its clients, and each error says how to raise them. */
import { ArchfarmError } from '../errors.ts';
import { formatSize } from '../size.ts';

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

export type LimitName = keyof ContextLimits;

/** The command that the limits were given to: they are raised there. */
export interface OwnedLimits extends ContextLimits {
  readonly command?: 'build' | 'serve';
}

export const defaultLimits: ContextLimits = {
  entries: 200_000,
  bytes: 20 * 1024 ** 3,
  pathBytes: 4096,
  nameBytes: 255,
};

/** What the parts that they bound are made for. Linux takes no longer names and paths. */
export const highestLimits: ContextLimits = {
  entries: 10_000_000,
  bytes: 2 ** 47,
  pathBytes: defaultLimits.pathBytes,
  nameBytes: defaultLimits.nameBytes,
};

/** What limits are called where they are set. */
export const limitSettings = {
  entries: 'entries',
  bytes: 'bytes',
  pathBytes: 'path',
  nameBytes: 'name',
} as const satisfies Readonly<Record<LimitName, string>>;

const described: Readonly<Record<LimitName, string>> = {
  entries: 'files, directories and links',
  bytes: 'bytes of files',
  pathBytes: 'bytes in a path',
  nameBytes: 'bytes in a name',
};

/** Throws `context-limit` when `value` is above the limit; `where` names the path, if one is at fault. */
export function checkLimit(
  limits: OwnedLimits,
  measured: { readonly limit: LimitName; readonly value: number; readonly where?: string },
): void {
  const { limit, value, where } = measured;
  if (value <= limits[limit]) return;
  const place = where === undefined ? 'the context' : JSON.stringify(where);
  const [most, found] = limit === 'bytes' ? [inWords(limits.bytes), inWords(value)] : ['', ''];
  throw new ArchfarmError(
    'context-limit',
    `${place} has ${value} ${described[limit]}${found}, more than the limit of ${limits[limit]}${most}`,
    { hint: hint(limits, limit) },
  );
}

function inWords(bytes: number): string {
  return bytes < 1000 ? '' : ` (${formatSize(bytes)})`;
}

function hint({ command = 'build', ...limits }: OwnedLimits, limit: LimitName): string {
  const isOne = limit === 'pathBytes' || limit === 'nameBytes';
  const less = isOne ? 'shorten it' : 'leave out what the build does not need with .dockerignore';
  if (limits[limit] >= highestLimits[limit]) return less;
  const setting = `${limitSettings[limit]}=${raised(limits, limit)}`;
  return `${less}, or raise the limit: archfarm ${command} --context-limit ${setting}`;
}

/** Twice as much, as it can be given. */
function raised(limits: ContextLimits, limit: LimitName): string {
  const value = Math.min(2 * limits[limit], highestLimits[limit]);
  const gibibytes = value / 1024 ** 3;
  return limit === 'bytes' && Number.isInteger(gibibytes) ? `${gibibytes}GiB` : String(value);
}

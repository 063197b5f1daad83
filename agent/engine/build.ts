/** One build: of a Dockerfile and its contexts, with a hard look at what came out. */
import { ArchfarmError } from '../../shared/errors.ts';
import type { Mask } from '../../shared/mask/mask.ts';
import type { Selection } from '../../shared/context/select.ts';
import type { Digest } from '../../shared/context/tree.ts';
import { formatPlatform, parsePlatform, samePlatform, type Platform } from '../../shared/platform.ts';
import type { TaskEvent } from '../../shared/progress.ts';
import type { ConfigFacts, Task } from '../../shared/task.ts';
import type { Connection } from './connection.ts';
import { FreshBases } from './fresh-bases.ts';
import { inspectImage, type ImageFacts } from './image.ts';
import type { MtimeStore } from './mtimes.ts';
import { provideContexts, type NamedContextOptions } from './named-contexts.ts';
import type { BuildServices } from './services.ts';
import { buildInSession, type SessionBuild } from './session-build.ts';

export interface BuildOptions {
  readonly task: Task;
  readonly services: BuildServices;
  readonly mtimes: MtimeStore;
  readonly signal: AbortSignal;
  readonly mask: Mask;
  readonly onEvent: (event: TaskEvent) => void;
  /** See TraceOptions. */
  readonly onSign?: (() => void) | undefined;
  /** Bytes of contents handed to the engine so far; called for each piece of at most 64 KiB. */
  readonly onEngineBytes?: ((bytes: number) => void) | undefined;
  readonly onSelection?: ((root: Digest, selection: Selection) => void) | undefined;
}

export interface BuiltImage {
  readonly imageId: Digest;
  readonly config: ConfigFacts;
  /** Bytes of contents handed to the engine. */
  readonly engineBytes: number;
}

/** Builds without a tag. Rejects with the signal's reason when it aborts; the engine then stops at once. */
export async function build(connection: Connection, options: BuildOptions): Promise<BuiltImage> {
  const { task, services, mtimes, signal, mask, onEvent, onSign, onEngineBytes, onSelection } = options;
  let engineBytes = 0;
  const common = {
    services,
    mtimes,
    signal,
    mask,
    onEvent,
    onSign,
    onSelection,
    onBytes(bytes: number) {
      engineBytes += bytes;
      onEngineBytes?.(engineBytes);
    },
  };
  const image = task.contexts.length === 0 ? buildPlainly : buildWithContexts;
  const imageId = await image(connection, task, { ...common, source: services.context });
  const config = await verifyPlatform(connection, { imageId, platform: task.platform, signal });
  return { imageId, config, engineBytes };
}

function buildPlainly(connection: Connection, task: Task, options: NamedContextOptions): Promise<Digest> {
  return buildInSession(connection, {
    ...options,
    ...sessionPart(task),
    trees: task,
    query: queryOf(task),
  });
}

async function buildWithContexts(
  connection: Connection,
  task: Task,
  options: NamedContextOptions,
): Promise<Digest> {
  await using contexts = await provideContexts(connection, task, options);
  const { dockerfile, target, inUsersTerms } = contexts;
  const bases = new FreshBases(connection, options.signal);
  const signal = AbortSignal.any([options.signal, bases.signal]);
  try {
    const imageId = await buildInSession(connection, {
      ...options,
      ...sessionPart(task),
      source: dockerfile.source,
      trees: { context: task.context, dockerfile },
      query: queryOf({ ...task, target, pull: false }),
      signal,
      onEvent(event) {
        if (task.pull) bases.watch(event);
        options.onEvent(event.type === 'step' ? { ...event, name: inUsersTerms(event.name) } : event);
      },
      onSelection(root, selection) {
        options.onSelection?.(root === dockerfile.root ? task.dockerfile.root : root, selection);
      },
    });
    await bases.settled();
    return imageId;
  } catch (error) {
    if (!(error instanceof ArchfarmError)) throw error;
    const { code, message, hint } = error;
    const told = inUsersTerms(message);
    throw told === message ? error : new ArchfarmError(code, told, { hint, cause: error });
  }
}

function sessionPart(task: Task): Pick<SessionBuild, 'contextKey' | 'platform' | 'secrets' | 'ssh'> {
  const { contextKey, platform, secrets, ssh } = task;
  return { contextKey, platform, secrets, ssh };
}

function queryOf(task: Task): Record<string, unknown> {
  return {
    dockerfile: task.dockerfile.name,
    buildargs: task.args,
    labels: task.labels,
    ...(task.target === undefined ? {} : { target: task.target }),
    ...(task.noCache ? { nocache: '1' } : {}),
    ...(task.pull ? { pull: '1' } : {}),
    ...(task.network === undefined ? {} : { networkmode: task.network }),
    extrahosts: task.extraHosts,
    // As JSON: the engine takes no other form.
    ...(task.cacheFrom.length === 0 ? {} : { cachefrom: JSON.stringify(task.cacheFrom) }),
  };
}

interface Verification {
  readonly imageId: Digest;
  readonly platform: string;
  readonly signal: AbortSignal;
}

async function verifyPlatform(
  connection: Connection,
  { imageId, platform, signal }: Verification,
): Promise<ConfigFacts> {
  const wanted = parsePlatform(platform);
  const { repoDigests: _names, ...built } = await inspectImage(connection, { imageId, signal });
  // BuildKit leaves the variant out of what it makes for arm64; only one that is there counts.
  if (samePlatform({ ...wanted, ...platformOf(built) }, wanted)) return built;
  throw new ArchfarmError(
    'wrong-architecture',
    `the build for ${formatPlatform(wanted)} made an image for ${formatPlatform(platformOf(built))}`,
    { hint: 'does a FROM name one platform, by --platform or by the digest of a single image?' },
  );
}

function platformOf({ os, architecture, variant }: Omit<ImageFacts, 'repoDigests'>): Platform {
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

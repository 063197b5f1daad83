/** What an engine knows about an image it holds. */
import * as v from 'valibot';
import type { Digest } from '../../shared/context/tree.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { isDigest } from '../../shared/reference.ts';
import type { Connection } from './connection.ts';

export interface ImageFacts {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly osVersion?: string;
  /** `repository@digest` of each name it was pushed to or pulled from. */
  readonly repoDigests: readonly string[];
}

const schema = v.object({
  Os: v.string(),
  Architecture: v.string(),
  Variant: v.optional(v.string(), ''),
  OsVersion: v.optional(v.string(), ''),
  RepoDigests: v.nullish(v.array(v.string()), []),
});

export async function inspectImage(
  connection: Connection,
  { imageId, signal }: { imageId: Digest; signal: AbortSignal },
): Promise<ImageFacts> {
  const inspected = await connection.get(`/images/${imageId}/json`, signal);
  const { Os: os, Architecture: architecture, ...rest } = v.parse(schema, inspected);
  const { Variant: variant, OsVersion: osVersion, RepoDigests } = rest;
  return {
    os,
    architecture,
    ...(variant === '' ? {} : { variant }),
    ...(osVersion === '' ? {} : { osVersion }),
    repoDigests: RepoDigests ?? [],
  };
}

const idSchema = v.object({ Id: v.string() });

/** The image that has a name; undefined where none has. */
export async function findImage(
  connection: Connection,
  { reference, signal }: { reference: string; signal: AbortSignal },
): Promise<Digest | undefined> {
  try {
    // dockerode's own way to inspect an image takes no signal.
    const { Id: id } = v.parse(idSchema, await connection.get(`/images/${reference}/json`, signal));
    return isDigest(id) ? id : undefined;
  } catch (error) {
    if (error instanceof ArchfarmError && isMissing(error.cause)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'statusCode' in error && error.statusCode === 404;
}

/** What containers of an image run, and where. */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  /** `NAME=value` */
  readonly environment: readonly string[];
  readonly workingDirectory: string;
  readonly volumes: readonly string[];
}

const texts = v.nullish(v.array(v.string()), []);

const configSchema = v.object({
  Config: v.nullish(
    v.object({
      Entrypoint: texts,
      Cmd: texts,
      Env: texts,
      WorkingDir: v.nullish(v.string(), ''),
      Volumes: v.nullish(v.record(v.string(), v.unknown()), {}),
    }),
  ),
});

export async function inspectImageConfig(
  connection: Connection,
  { imageId, signal }: { imageId: Digest; signal: AbortSignal },
): Promise<ImageConfig> {
  const { Config } = v.parse(configSchema, await connection.get(`/images/${imageId}/json`, signal));
  return {
    entrypoint: Config?.Entrypoint ?? [],
    command: Config?.Cmd ?? [],
    environment: Config?.Env ?? [],
    workingDirectory: Config?.WorkingDir || '/',
    volumes: Object.keys(Config?.Volumes ?? {}),
  };
}

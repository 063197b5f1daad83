/** What an engine knows about an image it holds. */
import * as v from 'valibot';
import type { Digest } from '../../shared/context/tree.ts';
import type { Connection } from './connection.ts';

export interface ImageFacts {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  /** `repository@digest` of each name it was pushed to or pulled from. */
  readonly repoDigests: readonly string[];
}

const schema = v.object({
  Os: v.string(),
  Architecture: v.string(),
  Variant: v.optional(v.string(), ''),
  RepoDigests: v.nullish(v.array(v.string()), []),
});

export async function inspectImage(
  connection: Connection,
  { imageId, signal }: { imageId: Digest; signal: AbortSignal },
): Promise<ImageFacts> {
  const inspected = await connection.get(`/images/${imageId}/json`, signal);
  const { Os: os, Architecture: architecture, Variant: variant, RepoDigests } = v.parse(schema, inspected);
  return { os, architecture, ...(variant === '' ? {} : { variant }), repoDigests: RepoDigests ?? [] };
}

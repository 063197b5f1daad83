/** Where a Dockerfile is, seen from its context. */
import path from 'node:path';
import type { ContextSource } from './context-source.ts';
import type { DockerfileSource } from './spec.ts';

/** Relative names are those in the context. */
export function dockerfileIn(context: ContextSource, file = 'Dockerfile'): DockerfileSource {
  return context.type === 'directory'
    ? { type: 'file', path: path.resolve(context.path, file) }
    : { type: 'context', path: file };
}

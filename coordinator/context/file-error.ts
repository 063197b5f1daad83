/** What goes wrong with the paths of a context, as its user should hear it. */
import { ArchfarmError, messageOf, systemCode } from '../../shared/errors.ts';

/** `name` is the path from the root of the context. */
export function fileError(error: unknown, name: string): Error {
  if (error instanceof ArchfarmError) return error;
  switch (systemCode(error)) {
    case 'EACCES':
    case 'EPERM':
      return new ArchfarmError('context-invalid', `cannot read ${JSON.stringify(name)}: permission denied`, {
        hint: 'make it readable or leave it out with .dockerignore',
        cause: error,
      });
    // It is gone, or has become a link or a socket.
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ELOOP':
    case 'ENXIO':
    case 'ESTALE':
      return changed(name);
    case undefined:
      return error instanceof Error ? error : new Error(String(error));
    default:
      return new ArchfarmError(
        'context-invalid',
        `cannot read ${JSON.stringify(name)}: ${messageOf(error)}`,
        {
          cause: error,
        },
      );
  }
}

/** It, or a directory that it was in, is no longer there. */
export function isGone(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

export function changed(name: string): ArchfarmError {
  return new ArchfarmError('context-changed', `${JSON.stringify(name)} changed while the context was read`, {
    hint: 'build again once nothing writes to it, or leave it out with .dockerignore',
  });
}

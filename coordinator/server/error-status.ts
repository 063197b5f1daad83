/** The HTTP status that an error is answered with. */
import { ArchfarmError, exitStatusOf, type ErrorCode } from '../../shared/errors.ts';

export function statusOf(error: unknown): number {
  // Fastify's own errors (a body that is no JSON, or too large) carry the status they stand for.
  if (error instanceof Error && 'statusCode' in error) return Number(error.statusCode);
  return statusOfCode(error instanceof ArchfarmError ? error.code : 'internal');
}

function statusOfCode(code: ErrorCode): number {
  if (code === 'unauthorized') return 401;
  if (code === 'forbidden' || code === 'agent-removed') return 403;
  if (code === 'not-found') return 404;
  if (code === 'disk-full') return 507;
  if (code === 'queue-full') return 429;
  const exit = exitStatusOf[code];
  if (exit === 2) return 400;
  return exit === 4 ? 409 : 500;
}

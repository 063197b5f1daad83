/** Whether whoever asked still waits for the answer. */
import type { FastifyReply } from 'fastify';
import { ArchfarmError } from '../../shared/errors.ts';

/** Aborts when the answer is sent, or the client hung up before that. */
export function gone(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  const closed = (): void =>
    controller.abort(new ArchfarmError('client-gone', 'the client closed its connection'));
  // It may have gone while something else was waited for.
  if (reply.raw.closed) closed();
  else reply.raw.once('close', closed);
  return controller.signal;
}

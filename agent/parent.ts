/**
 * An agent that a server-less build started gets the address and token of the coordinator in that process over
 * the IPC channel (so that neither is seen in argv or environment), and ends when the channel closes.
 */
import { once } from 'node:events';
import * as v from 'valibot';
import { ArchfarmError, toErrorInfo } from '../shared/errors.ts';

const handoverSchema = v.strictObject({ ARCHFARM_COORDINATOR: v.string(), ARCHFARM_TOKEN: v.string() });

export interface Parent {
  /** What the parent says in place of environment variables. */
  readonly environment: Readonly<Record<string, string>>;
  onGone(gone: () => void): void;
}

/** Undefined where this process was not started so: supervisors have IPC channels of their own. */
export async function awaitParent(): Promise<Parent | undefined> {
  if (process.send === undefined || process.env['ARCHFARM_PARENT'] !== 'ipc') return undefined;
  const [message]: unknown[] = await once(process, 'message', { signal: AbortSignal.timeout(10_000) });
  const handover = v.safeParse(handoverSchema, message);
  if (!handover.success) {
    throw new ArchfarmError('internal', 'the starting process did not say where its coordinator is');
  }
  return {
    environment: handover.output,
    onGone(gone) {
      if (process.connected) process.once('disconnect', gone);
      else gone();
    },
  };
}

/** Says over the same channel why this process ends; false where nobody listens. */
export function tellParent(error: unknown): boolean {
  if (!process.connected || process.env['ARCHFARM_PARENT'] !== 'ipc') return false;
  process.send?.({ error: toErrorInfo(error) }, () => process.disconnect());
  return true;
}

/** A bound on work that should be short, whatever the registry does: drip its answer byte by byte, say. */
import { networkFailure, type Asked } from './registry-error.ts';

/** `work` gets a signal that aborts with `signal` and after `milliseconds`; the latter is an error that names what was asked. */
export async function withinDeadline<T>(
  work: (signal: AbortSignal) => Promise<T>,
  { milliseconds, signal, asked }: { milliseconds: number; signal: AbortSignal; asked: Asked },
): Promise<T> {
  const deadline = AbortSignal.timeout(milliseconds);
  try {
    return await work(AbortSignal.any([signal, deadline]));
  } catch (error) {
    if (!deadline.aborted || signal.aborted) throw error;
    throw networkFailure(asked, new Error(`no whole answer within ${milliseconds} ms`));
  }
}

/** The trees of a build's additional contexts, and the limits that hold for all of its trees together. */
import { checkLimit, defaultLimits, type ContextLimits } from '../../shared/context/limits.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import type { AdditionalContext } from '../project/additional-contexts.ts';
import { scanContext, type ScanOptions } from './scan.ts';
import type { Snapshot } from './snapshot.ts';

export interface NamedSnapshot {
  readonly name: string;
  readonly tree: Snapshot;
}

/** An ignore file counts where it lies in the directory itself. Errors say which of the contexts is at fault. */
export async function scanAdditionalContexts(
  contexts: readonly AdditionalContext[],
  options: Omit<ScanOptions, 'dockerfile'>,
): Promise<NamedSnapshot[]> {
  const scanned: NamedSnapshot[] = [];
  for (const { name, path } of contexts) {
    try {
      scanned.push({ name, tree: await scanContext(path, options) });
    } catch (error) {
      if (!(error instanceof ArchfarmError)) throw error;
      const { code, message, hint } = error;
      throw new ArchfarmError(code, `additional context ${name}: ${message}`, { hint, cause: error });
    }
  }
  return scanned;
}

/** Throws `context-limit` when trees that are small enough each are too large together. */
export function checkTogether(
  trees: readonly { readonly files: number; readonly bytes: number; readonly entries?: number }[],
  limits: ContextLimits = defaultLimits,
): void {
  const sum = (of: (tree: (typeof trees)[number]) => number): number =>
    trees.reduce((total, tree) => total + of(tree), 0);
  checkLimit(limits, { limit: 'entries', value: sum(({ entries, files }) => entries ?? files) });
  checkLimit(limits, { limit: 'bytes', value: sum(({ bytes }) => bytes) });
}

/** What the proofs of a published image come to. */
import { exitStatusOf, type ErrorInfo } from '../../shared/errors.ts';
import type { ProofResult } from '../../shared/proof.ts';

/** That an image does not run goes before that nobody could try it, and this before what else was in the way. */
const severity: readonly number[] = [1, 4, 3, 2];

/** The error of the worst platform, named; undefined where all have passed. `proofs` is by platform. */
export function verdictOf(proofs: Readonly<Record<string, ProofResult>>): ErrorInfo | undefined {
  const failures = Object.entries(proofs).flatMap(([platform, { status, agent, error }]) =>
    status === 'passed' || error === undefined ? [] : [{ platform, agent, error }],
  );
  const rank = ({ error }: (typeof failures)[number]): number => severity.indexOf(exitStatusOf[error.code]);
  const [worst] = failures.toSorted((a, b) => rank(a) - rank(b));
  if (worst === undefined) return undefined;
  const { platform, agent, error } = worst;
  const where = agent === undefined ? platform : `${platform} on ${agent}`;
  const more = failures.length === 1 ? '' : ` (and ${failures.length - 1} more)`;
  return { ...error, message: `verify of ${where}: ${error.message}${more}` };
}

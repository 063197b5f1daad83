/** When an agent may have its certificate renewed, and which of its certificates count from then on. */
import { ArchfarmError } from '../../shared/errors.ts';
import type { IssuedCertificate } from './agent-record.ts';
import type { JoinedAgent } from './principal.ts';

/** Certificates that are kept of an agent beside the one by which it had the last of them made. */
const maxRenewed = 2;

/**
 * Throws `usage` while less than half of the life of the certificate that it shows is over. Agents ask at two thirds: a
 * clock that is somewhat fast does no harm. `lifetime`: milliseconds, for records that do not say when one was issued.
 */
export function requireDue(
  { name, fingerprint }: JoinedAgent,
  certificates: readonly IssuedCertificate[],
  { now, lifetime }: { readonly now: () => number; readonly lifetime: number },
): void {
  const shown = certificates.find((known) => known.fingerprint === fingerprint);
  if (shown === undefined) return;
  const { expiresAt, issuedAt = expiresAt - lifetime } = shown;
  const due = (issuedAt + expiresAt) / 2;
  if (now() >= due) return;
  const [from, until] = [due, expiresAt].map((time) => new Date(time).toISOString());
  throw new ArchfarmError(
    'usage',
    `the certificate of agent ${name} is good until ${until} and may be renewed from ${from} on`,
    { hint: "is the clock of the agent's host right? The agent asks again by itself" },
  );
}

/** `fingerprint`: of the one that was shown. What is revoked stays so. */
export function renewed(
  valid: readonly IssuedCertificate[],
  { fingerprint, issued }: { readonly fingerprint: string; readonly issued: IssuedCertificate },
): IssuedCertificate[] {
  const isKept = (known: IssuedCertificate): boolean =>
    known.revoked === true || known.fingerprint === fingerprint;
  // An answer may have been lost on its way.
  const newest = [...valid.filter((known) => !isKept(known)), issued].slice(-maxRenewed);
  return [...valid.filter(isKept), ...newest];
}

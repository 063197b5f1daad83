/** The authority that a coordinator shows, found by its fingerprint: nothing is sent to whoever shows another one. */
import { ArchfarmError } from '../../shared/errors.ts';
import { shownChain } from '../../shared/shown-chain.ts';

/** Lower case hexadecimal. Throws `usage` for what is no sha256. */
export function parseFingerprint(text: string): string {
  const bare = text
    .replace(/^sha256:/i, '')
    .replaceAll(':', '')
    .toLowerCase();
  if (/^[0-9a-f]{64}$/.test(bare)) return bare;
  throw new ArchfarmError('usage', `--fingerprint ${JSON.stringify(text)} is not a sha256`, {
    hint: 'on the coordinator: openssl x509 -in DATA/tls/ca.crt -noout -fingerprint -sha256',
  });
}

/** PEM. Throws `unauthorized` where the coordinator shows no certificate with this fingerprint. */
export async function shownAuthority(
  coordinator: URL,
  fingerprint: string,
  signal: AbortSignal,
): Promise<string> {
  const chain = await shownChain(coordinator, signal);
  const found = chain.find(({ fingerprint256 }) => parseFingerprint(fingerprint256) === fingerprint);
  if (found !== undefined) return found.toString();
  throw new ArchfarmError('unauthorized', `${coordinator.href} shows no certificate with this fingerprint`, {
    hint: 'compare it with the one on the coordinator itself; if that is right, somebody else answers at this address',
  });
}

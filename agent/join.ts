/** `archfarm-agent join`: makes this host an agent of a farm, with a name and a certificate of its own. */
import { readFileSync } from 'node:fs';
import { parseCoordinatorUrl } from '../shared/address.ts';
import { makeDataDirectory } from '../shared/data-directory.ts';
import { ArchfarmError } from '../shared/errors.ts';
import { parseJoinToken } from '../shared/join-token.ts';
import { requestCertificate } from './certificate-request.ts';
import { makeIdentityDirectory, writeIdentity } from './identity.ts';
import { recognize } from './pinned-coordinator.ts';
import { requireUnused } from './status-socket.ts';

export interface JoinOptions {
  /** As given. */
  readonly address: string;
  /** As given. */
  readonly token: string;
  readonly data: string;
  /** File of authorities, where the coordinator's certificate is from elsewhere. */
  readonly ca: string | undefined;
  readonly signal: AbortSignal;
}

/** The name of the agent that this host is now. Throws `unauthorized` for a wrong coordinator or a token that does not count. */
export async function join({ address, token, data, ca: caFile, signal }: JoinOptions): Promise<string> {
  const coordinator = parseCoordinatorUrl(address, { tls: true });
  const { pin, secret } = parseJoinToken(token);
  if (coordinator.protocol !== 'https:') {
    throw new ArchfarmError('usage', `hosts join by TLS alone, and ${address} is without`, {
      hint: 'the address begins with wss://; archfarm agents add prints it',
    });
  }
  // Before the token is used up.
  await makeDataDirectory(data, '--data or ARCHFARM_DATA');
  await requireUnused(data);
  const { trust, ca } = await recognize({ coordinator, pin, caFile, signal });
  await makeIdentityDirectory(data);
  const call = { coordinator, path: 'v1/join', trust, bearer: secret, signal };
  const { name, platforms, text: certificate } = await requestCertificate(call);
  const facts = { coordinator: coordinator.href, name, platforms: [...platforms] };
  await writeIdentity(data, { facts, ca: ca ?? readAuthorities(caFile), certificate });
  return name;
}

/** Those that were given; `recognize` has read them. */
function readAuthorities(file: string | undefined): string | undefined {
  return file === undefined ? undefined : readFileSync(file, 'utf8');
}

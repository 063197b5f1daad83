/** The agent that a connection is from, by the certificate that it shows. */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { ArchfarmError } from '../../shared/errors.ts';
import type { Identities } from './identities.ts';
import type { JoinedAgent } from './principal.ts';

/** Undefined where none is shown. Throws `agent-removed`, and `unauthorized` with the reason for one that does not count. */
export function shownAgent(socket: Socket, identities: Identities): JoinedAgent | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  if (!socket.authorized) throw notBelieved(String(socket.authorizationError));
  const agent = identities.identify(certificate);
  identities.meet(agent, certificate);
  return agent;
}

/** By OpenSSL's name for what is wrong. */
function notBelieved(code: string): ArchfarmError {
  if (code === 'CERT_HAS_EXPIRED') {
    return new ArchfarmError('unauthorized', "the agent's certificate has expired", {
      hint: 'let the host join again: archfarm agents rm, then archfarm agents add; is its clock right?',
    });
  }
  if (code === 'CERT_NOT_YET_VALID') {
    return new ArchfarmError('unauthorized', "the agent's certificate is not valid yet", {
      hint: "look at the coordinator's clock, and at that of whoever made the certificate",
    });
  }
  return new ArchfarmError(
    'unauthorized',
    `the agent's certificate is of an authority that is not trusted (${code})`,
    {
      hint: 'the coordinator takes those that it signed itself, or those of archfarm serve --client-ca',
    },
  );
}

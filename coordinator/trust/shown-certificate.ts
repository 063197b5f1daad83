/** The certificate that a connection shows, and whom it makes known: an agent or a user, and never both. */
import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { ArchfarmError } from '../../shared/errors.ts';
import { fingerprintOf, type Identities } from './identities.ts';
import type { JoinedAgent, User } from './principal.ts';
import type { Users } from './users.ts';

type KnownUsers = Pick<Users, 'withCertificate'>;

/**
 * Undefined where none is shown that an agent may have. Throws `agent-removed`, and `unauthorized` with the reason for one
 * that does not count.
 */
export function shownAgent(
  socket: Socket,
  identities: Identities,
  users: KnownUsers,
): JoinedAgent | undefined {
  const certificate = certificateOf(socket);
  // What users have makes no agent, whoever else vouches for it.
  if (certificate === undefined || !isOfAgents(socket) || userWith(certificate, users)) return undefined;
  return identities.identify(certificate);
}

/** Remembers an agent whose certificate another authority made: from now on it counts as one that has joined. */
export function meetAgent(agent: JoinedAgent, socket: Socket, identities: Identities): void {
  const certificate = certificateOf(socket);
  if (certificate !== undefined) identities.meet(agent, certificate);
}

/** To be asked where it is no agent. Undefined where none is shown; throws `unauthorized` with the reason for one that does not count. */
export function shownUser(socket: Socket, users: KnownUsers): User | undefined {
  const certificate = certificateOf(socket);
  if (certificate === undefined) return undefined;
  const user = userWith(certificate, users);
  if (user === undefined) throw notBelieved(socket);
  const objection = isOfAgents(socket)
    ? 'is of the authority whose certificates make agents'
    : objectionNow(certificate);
  if (objection === undefined) return user;
  throw new ArchfarmError('unauthorized', `the certificate of user ${user.name} ${objection}`, {
    hint: 'the token counts still; archfarm users rm, then users add --certificate, give another certificate',
  });
}

/** TLS has seen that its key is there too. */
function certificateOf(socket: Socket): X509Certificate | undefined {
  return socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
}

/** The authorities of agents are all that TLS believes here. */
function isOfAgents(socket: Socket): boolean {
  return socket instanceof TLSSocket && socket.authorized;
}

function userWith(certificate: X509Certificate, users: KnownUsers): User | undefined {
  return users.withCertificate(fingerprintOf(certificate));
}

/** Looked at with each request: connections live long, and TLS takes up earlier ones without another look. */
function objectionNow({ validFrom, validTo }: X509Certificate): string | undefined {
  const now = Date.now();
  if (!(now <= Date.parse(validTo))) return `has expired on ${validTo}`;
  return now >= Date.parse(validFrom) ? undefined : `is not valid before ${validFrom}`;
}

function notBelieved(socket: Socket): ArchfarmError {
  // OpenSSL's name for what is wrong.
  const code = socket instanceof TLSSocket ? String(socket.authorizationError) : '';
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
    `the certificate is that of no user, and for an agent of an authority that is not trusted (${code})`,
    {
      hint: 'agents: the coordinator takes those that it signed itself, or those of archfarm serve --client-ca; users: archfarm users add --certificate',
    },
  );
}

/** The part of the HTTP API that is about users, and about who asks. */
import type { X509Certificate } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import * as v from 'valibot';
import { ArchfarmError } from '../../shared/errors.ts';
import type { Audit } from '../trust/audit.ts';
import type { Connections } from '../trust/connections.ts';
import type { Identities } from '../trust/identities.ts';
import { requireRoomForIssuers } from '../trust/issuer-names.ts';
import type { PortTls } from '../trust/port-tls.ts';
import { nameOf, roles } from '../trust/principal.ts';
import { maxPem, readUserCertificate, requireNoAgent } from '../trust/user-certificate.ts';
import { described, type Users } from '../trust/users.ts';
import { about, type Guard } from './guard.ts';
import { readRequest } from './read-request.ts';

const users = '/v1/users';
const nameParams = v.object({ name: v.pipe(v.string(), v.minLength(1), v.maxLength(255)) });
const userBody = v.strictObject({
  name: v.pipe(v.string(), v.maxLength(255)),
  role: v.picklist(roles),
  repositories: v.optional(v.pipe(v.array(v.pipe(v.string(), v.maxLength(512))), v.maxLength(100)), []),
  /** PEM. */
  certificate: v.optional(v.pipe(v.string(), v.maxLength(maxPem))),
});

export interface UserRouteOptions {
  readonly guard: Guard;
  readonly users: Users;
  readonly identities: Identities;
  /** Undefined for plain http, where nobody can show a certificate. */
  readonly tls: PortTls | undefined;
  readonly connections: Connections;
  readonly audit: Audit;
}

export function addUserRoutes(
  api: FastifyInstance,
  { guard, users: all, identities, tls, connections, audit }: UserRouteOptions,
): void {
  const certificateIn = (pem: string | undefined): X509Certificate | undefined => {
    if (pem === undefined) return undefined;
    if (tls === undefined) {
      throw new ArchfarmError('usage', 'this coordinator speaks no TLS, by which certificates are shown', {
        hint: 'archfarm serve --tls, or --tls-cert and --tls-key; or add the user without --certificate',
      });
    }
    const chain = readUserCertificate(pem, 'what was sent');
    requireNoAgent(chain, { identities, authorities: tls.current.clientAuthorities });
    requireRoomForIssuers([...all.certificates, chain[0]]);
    return chain[0];
  };
  api.get('/v1/whoami', about('whoami'), (request) => {
    const { principal, from } = guard.visitorOf(request);
    return { ...principal, name: nameOf(principal), from };
  });
  api.get(users, about('list-users'), () => ({ users: all.list() }));
  api.post(users, about('add-user'), async (request, reply) => {
    const body = readRequest(userBody, request.body);
    const visitor = guard.visitorOf(request);
    const certificate = certificateIn(body.certificate);
    const token = all.add({ ...body, certificate, by: nameOf(visitor.principal) });
    if (certificate !== undefined) tls?.listIssuers(all.certificates);
    const { name, role, repositories } = body;
    const shown = certificate && described(certificate);
    const scope = repositories.length === 0 ? '' : ` for ${repositories.join(', ')}`;
    const means = shown === undefined ? '' : `, with the certificate sha256:${shown.fingerprint}`;
    await audit.note(visitor, { action: 'add-user', user: name, what: `as ${role}${scope}${means}` });
    return reply.code(201).send({ name, role, token, certificate: shown });
  });
  api.delete(`${users}/:name`, about('remove-user'), async (request, reply) => {
    const { name } = readRequest(nameParams, request.params);
    const visitor = guard.visitorOf(request);
    all.remove(name);
    tls?.listIssuers(all.certificates);
    const end = (): void => connections.end({ type: 'user', name });
    // Whoever removes itself gets its answer first.
    if (visitor.principal.type === 'user' && visitor.principal.name === name) reply.raw.once('close', end);
    else end();
    await audit.note(visitor, { action: 'remove-user', user: name });
    return reply.code(204).send();
  });
}

/** The part of the HTTP API by which hosts get the certificates that make them agents. */
import type { FastifyInstance } from 'fastify';
import * as v from 'valibot';
import { ArchfarmError } from '../../shared/errors.ts';
import type { Audit } from '../trust/audit.ts';
import type { Identities } from '../trust/identities.ts';
import { about, type Guard } from './guard.ts';
import { readRequest } from './read-request.ts';

/** PEM. */
const requestBody = v.object({ request: v.pipe(v.string(), v.maxLength(4096)) });
/** Bytes; whoever joins is nobody yet. */
const bodyLimit = 8192;

export interface JoinRouteOptions {
  readonly guard: Guard;
  readonly identities: Identities;
  readonly audit: Audit;
}

export function addJoinRoutes(api: FastifyInstance, { guard, identities, audit }: JoinRouteOptions): void {
  api.post('/v1/join', { ...about('get-certificate'), bodyLimit }, async (asked) => {
    const secret = /^Bearer +(\S+)$/i.exec(asked.headers.authorization ?? '')?.[1];
    if (secret === undefined || asked.headers.origin !== undefined) {
      throw new ArchfarmError('unauthorized', 'the token to join with is missing', {
        hint: 'run the command that archfarm agents add has printed',
      });
    }
    const { request } = readRequest(requestBody, asked.body);
    const joined = await identities.join({ secret, request, from: asked.ip });
    void audit.record({ action: 'join', from: asked.ip, agent: joined.name });
    return joined;
  });
  api.post('/v1/agent/renew', { ...about('renew-certificate'), bodyLimit }, async (asked) => {
    const visitor = guard.visitorOf(asked);
    const { principal } = visitor;
    if (principal.type !== 'agent') {
      throw new ArchfarmError('forbidden', 'only an agent that shows its certificate may have it renewed');
    }
    const { request } = readRequest(requestBody, asked.body);
    const renewed = await identities.renew(principal, request);
    void audit.note(visitor, { action: 'renew-certificate', agent: principal.name });
    return renewed;
  });
}

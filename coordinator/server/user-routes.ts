/** The part of the HTTP API that is about users, and about who asks. */
import type { FastifyInstance } from 'fastify';
import * as v from 'valibot';
import type { Audit } from '../trust/audit.ts';
import type { Connections } from '../trust/connections.ts';
import { nameOf, roles } from '../trust/principal.ts';
import type { Users } from '../trust/users.ts';
import { about, type Guard } from './guard.ts';
import { readRequest } from './read-request.ts';

const users = '/v1/users';
const nameParams = v.object({ name: v.pipe(v.string(), v.minLength(1), v.maxLength(255)) });
const userBody = v.strictObject({
  name: v.pipe(v.string(), v.maxLength(255)),
  role: v.picklist(roles),
  repositories: v.optional(v.pipe(v.array(v.pipe(v.string(), v.maxLength(512))), v.maxLength(100)), []),
});

export interface UserRouteOptions {
  readonly guard: Guard;
  readonly users: Users;
  readonly connections: Connections;
  readonly audit: Audit;
}

export function addUserRoutes(
  api: FastifyInstance,
  { guard, users: all, connections, audit }: UserRouteOptions,
): void {
  api.get('/v1/whoami', about('whoami'), (request) => {
    const { principal, from } = guard.visitorOf(request);
    return { ...principal, name: nameOf(principal), from };
  });
  api.get(users, about('list-users'), () => ({ users: all.list() }));
  api.post(users, about('add-user'), async (request, reply) => {
    const body = readRequest(userBody, request.body);
    const visitor = guard.visitorOf(request);
    const token = all.add({ ...body, by: nameOf(visitor.principal) });
    const { name, role, repositories } = body;
    const scope = repositories.length === 0 ? '' : ` for ${repositories.join(', ')}`;
    await audit.note(visitor, { action: 'add-user', user: name, what: `as ${role}${scope}` });
    return reply.code(201).send({ name, role, token });
  });
  api.delete(`${users}/:name`, about('remove-user'), async (request, reply) => {
    const { name } = readRequest(nameParams, request.params);
    const visitor = guard.visitorOf(request);
    all.remove(name);
    const end = (): void => connections.end({ type: 'user', name });
    // Whoever removes itself gets its answer first.
    if (visitor.principal.type === 'user' && visitor.principal.name === name) reply.raw.once('close', end);
    else end();
    await audit.note(visitor, { action: 'remove-user', user: name });
    return reply.code(204).send();
  });
}

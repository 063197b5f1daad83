/** The part of the HTTP API that is about agents. */
import type { FastifyInstance } from 'fastify';
import * as v from 'valibot';
import type { Audit } from '../trust/audit.ts';
import { clientOf } from '../trust/principal.ts';
import type { AgentActions } from './agent-actions.ts';
import { about, type Guard } from './guard.ts';
import { clientNameSchema } from './spec-schema.ts';
import { readRequest } from './read-request.ts';

const agents = '/v1/agents';
const nameParams = v.object({ name: v.pipe(v.string(), v.minLength(1), v.maxLength(255)) });
const orderBody = v.optional(v.object({ client: v.optional(clientNameSchema) }), {});

export interface AgentRouteOptions {
  readonly guard: Guard;
  readonly actions: AgentActions;
  readonly audit: Audit;
}

export function addAgentRoutes(api: FastifyInstance, { guard, actions, audit }: AgentRouteOptions): void {
  api.get(agents, about('list-agents'), () => ({ agents: actions.list() }));
  api.post(`${agents}/:name/drain`, about('drain-agent'), async (request, reply) => {
    const { name } = readRequest(nameParams, request.params);
    const { client } = readRequest(orderBody, request.body ?? {});
    const visitor = guard.visitorOf(request);
    await actions.drain(name, clientOf(visitor, client));
    void audit.note(visitor, { action: 'drain-agent', agent: name });
    return reply.code(204).send();
  });
  api.post(`${agents}/:name/resume`, about('resume-agent'), async (request, reply) => {
    const { name } = readRequest(nameParams, request.params);
    await actions.resume(name);
    void audit.note(guard.visitorOf(request), { action: 'resume-agent', agent: name });
    return reply.code(204).send();
  });
  api.delete(`${agents}/:name`, about('remove-agent'), async (request, reply) => {
    const { name } = readRequest(nameParams, request.params);
    await actions.remove(name);
    void audit.note(guard.visitorOf(request), { action: 'remove-agent', agent: name });
    return reply.code(204).send();
  });
}

/** The part of the HTTP API that is about agents. */
import type { FastifyInstance } from 'fastify';
import * as v from 'valibot';
import type { AgentActions } from './agent-actions.ts';
import { clientNameSchema } from './spec-schema.ts';
import { readRequest } from './read-request.ts';

const agents = '/v1/agents';
const nameParams = v.object({ name: v.pipe(v.string(), v.minLength(1), v.maxLength(255)) });
const orderBody = v.optional(v.object({ client: v.optional(clientNameSchema) }), {});

export function addAgentRoutes(api: FastifyInstance, actions: AgentActions): void {
  api.get(agents, () => ({ agents: actions.list() }));
  api.post(`${agents}/:name/drain`, async (request, reply) => {
    const { name } = readRequest(nameParams, request.params);
    const { client = request.ip } = readRequest(orderBody, request.body ?? {});
    await actions.drain(name, client);
    return reply.code(204).send();
  });
  api.post(`${agents}/:name/resume`, async (request, reply) => {
    await actions.resume(readRequest(nameParams, request.params).name);
    return reply.code(204).send();
  });
  api.delete(`${agents}/:name`, async (request, reply) => {
    await actions.remove(readRequest(nameParams, request.params).name);
    return reply.code(204).send();
  });
}

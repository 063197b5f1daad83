/** The part of the HTTP API that is about agents. */
import type { FastifyInstance } from 'fastify';
import * as v from 'valibot';
import { parseAgentName } from '../../shared/agent-name.ts';
import { formatPlatform, parsePlatform } from '../../shared/platform.ts';
import type { Audit } from '../trust/audit.ts';
import { clientOf } from '../trust/principal.ts';
import { parseRepositoryPrefix } from '../trust/repository-prefix.ts';
import type { AgentActions } from './agent-actions.ts';
import { about, type Guard } from './guard.ts';
import { clientNameSchema } from './spec-schema.ts';
import { readRequest } from './read-request.ts';

const agents = '/v1/agents';
const nameParams = v.object({ name: v.pipe(v.string(), v.minLength(1), v.maxLength(255)) });
const list = v.optional(v.pipe(v.array(v.pipe(v.string(), v.maxLength(512))), v.maxLength(100)), []);
const newAgentBody = v.object({ name: v.string(), platforms: list, repositories: list });
const orderBody = v.optional(v.object({ client: v.optional(clientNameSchema) }), {});

export interface AgentRouteOptions {
  readonly guard: Guard;
  readonly actions: AgentActions;
  readonly audit: Audit;
}

export function addAgentRoutes(api: FastifyInstance, { guard, actions, audit }: AgentRouteOptions): void {
  api.get(agents, about('list-agents'), () => ({ agents: actions.list() }));
  api.post(agents, about('add-agent'), async (request, reply) => {
    const { name, platforms, repositories } = readRequest(newAgentBody, request.body);
    const added = await actions.add(parseAgentName(name, 'archfarm agents add'), {
      platforms: [...new Set(platforms.map((platform) => formatPlatform(parsePlatform(platform))))],
      repositories: [...new Set(repositories.map(parseRepositoryPrefix))],
    });
    void audit.note(guard.visitorOf(request), { action: 'add-agent', agent: name });
    return reply.code(201).send(added);
  });
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

/** The HTTP API: JSON in, JSON out, and event streams as lines of JSON. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import * as v from 'valibot';
import { ArchfarmError, toErrorInfo } from '../../shared/errors.ts';
import { PROTOCOL_VERSION } from '../../shared/messages.ts';
import { version } from '../../shared/version.ts';
import { requireRepositories } from '../trust/access.ts';
import { addAgentRoutes } from './agent-routes.ts';
import { addAuditRoutes } from './audit-routes.ts';
import { addBuildRoutes, type BuildRouteOptions } from './build-routes.ts';
import { statusOf } from './error-status.ts';
import { sendFrames } from './event-stream.ts';
import { gone } from './gone.ts';
import { addJoinRoutes, type JoinRouteOptions } from './join-routes.ts';
import { about } from './guard.ts';
import type { Metrics } from './metrics/metrics.ts';
import { proofBody, sendProofs, type ProofSources } from './proof-lines.ts';
import type { Readiness } from './readiness.ts';
import { readRequest } from './read-request.ts';
import { addUserRoutes, type UserRouteOptions } from './user-routes.ts';

const planBody = v.object({
  platforms: v.pipe(v.array(v.string()), v.maxLength(64)),
  allowEmulation: v.boolean(),
  tags: v.optional(v.pipe(v.array(v.pipe(v.string(), v.maxLength(512))), v.maxLength(100))),
  suffix: v.optional(v.picklist(['repo', 'tag'])),
  force: v.optional(v.boolean()),
  agentLabels: v.optional(v.record(v.string(), v.string())),
  demands: v.optional(v.record(v.string(), v.pipe(v.array(v.string()), v.maxLength(10)))),
});

export interface RouteOptions extends BuildRouteOptions, JoinRouteOptions, UserRouteOptions {
  readonly proofs: ProofSources;
  readonly readiness: Readiness;
  /** Nobody reads those of a coordinator inside a command. */
  readonly metrics: Metrics | undefined;
}

export function addRoutes(app: FastifyInstance, options: RouteOptions): void {
  const { guard, actions, audit, proofs, readiness, metrics } = options;
  app.setErrorHandler((error, _request, reply) => sendError(reply, error));
  app.setNotFoundHandler((request, reply) =>
    sendError(
      reply,
      new ArchfarmError('not-found', `nothing at ${request.method} ${request.url.slice(0, 200)}`),
    ),
  );
  guard.watch(app);
  app.get('/healthz', about('health'), () => ({ status: 'ok' }));
  app.get('/readyz', about('health'), async (_request, reply) => {
    const reason = await readiness.objection();
    return reason === undefined ? { status: 'ready' } : reply.code(503).send({ status: 'not ready', reason });
  });
  if (metrics !== undefined) {
    app.get('/metrics', about('read-metrics'), async (_request, reply) =>
      reply.type(metrics.contentType).send(await metrics.text()),
    );
  }
  app.get('/v1/version', about('version'), () => ({ version, protocol: PROTOCOL_VERSION }));
  app.get('/v1/store', about('show-store'), () => ({ contexts: actions.contextStore() }));
  app.post('/v1/plan', about('plan'), async (request, reply) => {
    const body = readRequest(planBody, request.body);
    requireRepositories(guard.visitorOf(request).principal, body.tags ?? []);
    return actions.plan(body, gone(reply));
  });
  app.post('/v1/verify', about('verify'), async (request, reply) => {
    const body = readRequest(proofBody, request.body);
    const visitor = guard.visitorOf(request);
    requireRepositories(visitor.principal, [body.reference]);
    const what = body.command === undefined ? 'without a command' : 'with a command';
    void audit.note(visitor, { action: 'verify', tags: [body.reference], what });
    return sendProofs(reply, { body, sources: proofs, signal: gone(reply) });
  });
  app.get('/v1/farm', about('watch-farm'), async (_request, reply) => {
    const signal = gone(reply);
    return sendFrames(reply, actions.watch(signal), { signal, patience: options.followerPatience });
  });
  addBuildRoutes(app, options);
  addAgentRoutes(app, { guard, audit, actions: actions.agents });
  addAuditRoutes(app, audit);
  addUserRoutes(app, options);
  addJoinRoutes(app, options);
}

function sendError(reply: FastifyReply, error: unknown): FastifyReply {
  const status = statusOf(error);
  return reply.code(status).send({ error: toErrorInfo(error, status < 500 ? 'usage' : 'internal') });
}

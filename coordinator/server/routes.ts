/** The HTTP API: JSON in, JSON out, and event streams as lines of JSON. */
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply } from 'fastify';
import * as v from 'valibot';
import type { StoreUsage } from '../../shared/context/store-usage.ts';
import { ArchfarmError, exitStatusOf, toErrorInfo, type ErrorCode } from '../../shared/errors.ts';
import { PROTOCOL_VERSION } from '../../shared/messages.ts';
import { buildStatuses, type BuildResult, type BuildStatus } from '../../shared/progress.ts';
import { version } from '../../shared/version.ts';
import type { BuildSpec } from '../project/spec.ts';
import type { AgentActions } from './agent-actions.ts';
import { addAgentRoutes } from './agent-routes.ts';
import type { TokenAuth } from './auth.ts';
import { sendFrames } from './event-stream.ts';
import type { ReportedFindings } from './preflight.ts';
import type { AmendRequest } from './follow-ups.ts';
import { proofBody, sendProofs, type ProofSources } from './proof-lines.ts';
import { readRequest } from './read-request.ts';
import { amendSchema, retrySchema, secretValue, submitSchema } from './spec-schema.ts';

export interface Submission {
  readonly spec: BuildSpec;
  readonly secrets: ReadonlyMap<string, Buffer>;
  readonly link: string | undefined;
  /** Records of directories of its trees, as many as the client thought worth sending along. */
  readonly directories: readonly Buffer[];
  readonly idempotencyKey: string | undefined;
  /** What it calls itself, as `user@host`, or else the address it came from. */
  readonly client: string;
}

/** What a client gives to a build that goes on from another one. */
export interface Continuation extends Pick<Submission, 'secrets' | 'link' | 'idempotencyKey' | 'client'> {
  /** Ids of the ssh agents that it forwards. */
  readonly ssh: readonly string[];
}

export interface PlanRequest {
  /** Formatted or not; empty means every platform that a connected agent has natively. */
  readonly platforms: readonly string[];
  readonly allowEmulation: boolean;
  /** What the registries of these would say is part of the plan. */
  readonly tags?: readonly string[] | undefined;
  readonly suffix?: BuildSpec['suffix'] | undefined;
  readonly force?: boolean | undefined;
  /** Only agents that have all of these. */
  readonly agentLabels?: BuildSpec['agentLabels'] | undefined;
}

export interface Plan extends ReportedFindings {
  readonly platforms: readonly {
    readonly platform: string;
    readonly candidates: readonly { readonly name: string; readonly native: boolean }[];
    /** Agents that could, were emulation allowed. */
    readonly emulators: readonly string[];
  }[];
}

/** What the API lets a client do. */
export interface ApiActions {
  submit(submission: Submission, signal: AbortSignal): Promise<string>;
  builds(query: { limit: number; before?: string; status?: BuildStatus }): Promise<readonly BuildResult[]>;
  /** `id` may be abbreviated as long as it is unique; throws `not-found`. */
  build(id: string): Promise<BuildResult>;
  /** The same, with what the coordinator lacks of the context while the build goes on. */
  show(id: string, signal: AbortSignal): Promise<BuildResult>;
  /** Whole lines of JSON, a frame each. */
  frames(
    build: string,
    options: { after: number; follow: boolean; signal: AbortSignal },
  ): AsyncIterable<Buffer>;
  cancel(build: string, reason: string): Promise<void>;
  supplySecrets(build: string, secrets: ReadonlyMap<string, Buffer>): Promise<void>;
  /** Resolves once the build needs its client no more; throws what is in the way of that. */
  complete(build: string, signal: AbortSignal): Promise<void>;
  /** These give the id of the build that goes on from it. */
  retry(build: string, continuation: Continuation, signal: AbortSignal): Promise<string>;
  amend(
    build: string,
    asked: { readonly request: AmendRequest; readonly continuation: Continuation },
    signal: AbortSignal,
  ): Promise<string>;
  /** The latest build that published this reference; throws `not-found`. */
  publisher(reference: string): Promise<BuildResult>;
  /** What a file of the build's trees is called, while the build goes on. */
  pathOf(build: string, digest: string, signal: AbortSignal): Promise<string | undefined>;
  readonly agents: AgentActions;
  contextStore(): StoreUsage;
  plan(request: PlanRequest, signal: AbortSignal): Promise<Plan>;
}

const builds = '/v1/builds';
const listQuery = v.object({
  limit: v.optional(v.pipe(v.string(), v.toNumber(), v.integer(), v.minValue(1), v.maxValue(1000)), '50'),
  before: v.optional(v.string()),
  status: v.optional(v.picklist(buildStatuses)),
});
const eventsQuery = v.object({
  after: v.optional(v.pipe(v.string(), v.toNumber(), v.integer(), v.minValue(0)), '0'),
  follow: v.optional(v.picklist(['0', '1']), '0'),
});
const idParams = v.object({ id: v.pipe(v.string(), v.regex(/^[a-z0-9]{1,32}$/, 'not a build id')) });
const pathQuery = v.object({ digest: v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/, 'not a digest')) });
const publisherQuery = v.object({ reference: v.pipe(v.string(), v.maxLength(512)) });
const secretsBody = v.record(v.string(), secretValue);
const planBody = v.object({
  platforms: v.pipe(v.array(v.string()), v.maxLength(64)),
  allowEmulation: v.boolean(),
  tags: v.optional(v.pipe(v.array(v.pipe(v.string(), v.maxLength(512))), v.maxLength(100))),
  suffix: v.optional(v.picklist(['repo', 'tag'])),
  force: v.optional(v.boolean()),
  agentLabels: v.optional(v.record(v.string(), v.string())),
});

export interface RouteOptions {
  readonly auth: TokenAuth;
  /** Whoever holds this connection may be here. */
  readonly admitted: (socket: Socket) => void;
  readonly actions: ApiActions;
  readonly proofs: ProofSources;
  /** Milliseconds that a follower may take nothing of what it is sent. */
  readonly followerPatience: number;
}

export function addRoutes(app: FastifyInstance, options: RouteOptions): void {
  const { auth, actions, proofs } = options;
  app.setErrorHandler((error, _request, reply) => sendError(reply, error));
  app.setNotFoundHandler((request, reply) =>
    sendError(
      reply,
      new ArchfarmError('not-found', `nothing at ${request.method} ${request.url.slice(0, 200)}`),
    ),
  );
  app.get('/healthz', () => ({ status: 'ok' }));

  app.register((api, _options, done) => {
    api.addHook('onRequest', async (request, reply) => {
      if (auth.admits(request.headers)) return options.admitted(request.socket);
      if (request.headers.origin !== undefined) {
        const error = { code: 'unauthorized', message: 'the coordinator refuses what web pages ask' };
        return reply.code(403).send({ error });
      }
      throw new ArchfarmError('unauthorized', 'the coordinator refuses this token', {
        hint: 'give its token with --token-file or ARCHFARM_TOKEN',
      });
    });

    api.post(builds, async (request, reply) => {
      const { secrets, directories, ...rest } = readRequest(submitSchema, request.body);
      const submission: Submission = {
        spec: rest.spec,
        link: rest.link,
        idempotencyKey: rest.idempotencyKey,
        directories: directories.map((record) => Buffer.from(record, 'base64')),
        secrets: decode(secrets),
        client: rest.client ?? request.ip,
      };
      const id = await actions.submit(submission, gone(reply));
      return reply.code(201).send({ build: id });
    });
    api.get(builds, async (request) => {
      const { limit, before, status } = readRequest(listQuery, request.query);
      const query = {
        limit,
        ...(before === undefined ? {} : { before }),
        ...(status === undefined ? {} : { status }),
      };
      return { builds: await actions.builds(query) };
    });
    api.get(`${builds}/:id`, async (request, reply) =>
      actions.show(readRequest(idParams, request.params).id, gone(reply)),
    );
    api.get(`${builds}/:id/events`, async (request, reply) => {
      const { id } = readRequest(idParams, request.params);
      const { after, follow } = readRequest(eventsQuery, request.query);
      const { build } = await actions.build(id);
      const signal = gone(reply);
      const lines = actions.frames(build, { after, follow: follow === '1', signal });
      return sendFrames(reply, lines, { signal, patience: options.followerPatience });
    });
    api.post(`${builds}/:id/cancel`, async (request, reply) => {
      const { build } = await actions.build(readRequest(idParams, request.params).id);
      await actions.cancel(build, `cancelled by a client at ${request.ip}`);
      return reply.code(202).send({ build });
    });
    api.post(`${builds}/:id/retry`, async (request, reply) => {
      const { build } = await actions.build(readRequest(idParams, request.params).id);
      const { secrets, client = request.ip, ...rest } = readRequest(retrySchema, request.body);
      const continuation: Continuation = { ...withKeys(rest), secrets: decode(secrets), client };
      const id = await actions.retry(build, continuation, gone(reply));
      return reply.code(201).send({ build: id });
    });
    api.post(`${builds}/:id/amend`, async (request, reply) => {
      const { build } = await actions.build(readRequest(idParams, request.params).id);
      const body = readRequest(amendSchema, request.body);
      const { secrets, client = request.ip, platforms, allowEmulation, ...rest } = body;
      const continuation: Continuation = { ...withKeys(rest), secrets: decode(secrets), client };
      const asked = { request: { platforms, allowEmulation }, continuation };
      return reply.code(201).send({ build: await actions.amend(build, asked, gone(reply)) });
    });
    api.get(`${builds}/:id/path`, async (request, reply) => {
      const { build } = await actions.build(readRequest(idParams, request.params).id);
      return { path: await actions.pathOf(build, readRequest(pathQuery, request.query).digest, gone(reply)) };
    });
    api.get('/v1/publisher', (request) =>
      actions.publisher(readRequest(publisherQuery, request.query).reference),
    );
    api.put(`${builds}/:id/secrets`, async (request, reply) => {
      const { build } = await actions.build(readRequest(idParams, request.params).id);
      await actions.supplySecrets(build, decode(readRequest(secretsBody, request.body)));
      return reply.code(204).send();
    });
    api.post(`${builds}/:id/complete`, async (request, reply) => {
      const { build } = await actions.build(readRequest(idParams, request.params).id);
      await actions.complete(build, gone(reply));
      return reply.code(204).send();
    });
    addAgentRoutes(api, actions.agents);
    api.post('/v1/verify', async (request, reply) =>
      sendProofs(reply, { body: readRequest(proofBody, request.body), sources: proofs, signal: gone(reply) }),
    );
    api.get('/v1/version', () => ({ version, protocol: PROTOCOL_VERSION }));
    api.get('/v1/store', () => ({ contexts: actions.contextStore() }));
    api.post('/v1/plan', async (request, reply) =>
      actions.plan(readRequest(planBody, request.body), gone(reply)),
    );
    done();
  });
}

function withKeys({
  link,
  idempotencyKey,
  ssh,
}: {
  link?: string | undefined;
  idempotencyKey?: string | undefined;
  ssh: string[];
}): Pick<Continuation, 'link' | 'idempotencyKey' | 'ssh'> {
  return { link, idempotencyKey, ssh };
}

function decode(secrets: Readonly<Record<string, string>>): Map<string, Buffer> {
  return new Map(Object.entries(secrets).map(([id, value]) => [id, Buffer.from(value, 'base64')]));
}

/** Aborts when the answer is sent, or the client hung up before that. */
function gone(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  const closed = (): void =>
    controller.abort(new ArchfarmError('client-gone', 'the client closed its connection'));
  // It may have gone while something else was waited for.
  if (reply.raw.closed) closed();
  else reply.raw.once('close', closed);
  return controller.signal;
}

function sendError(reply: FastifyReply, error: unknown): FastifyReply {
  // Fastify's own errors (a body that is no JSON, or too large) carry the status they stand for.
  const own = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : undefined;
  const info = toErrorInfo(error, own !== undefined && own < 500 ? 'usage' : 'internal');
  return reply.code(own ?? statusOf(info.code)).send({ error: info });
}

function statusOf(code: ErrorCode): number {
  if (code === 'unauthorized') return 401;
  if (code === 'not-found') return 404;
  if (code === 'disk-full') return 507;
  if (code === 'queue-full') return 429;
  const exit = exitStatusOf[code];
  if (exit === 2) return 400;
  return exit === 4 ? 409 : 500;
}

/** The part of the HTTP API that is about builds. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import * as v from 'valibot';
import { buildStatuses } from '../../shared/progress.ts';
import { requireOwn } from '../trust/access.ts';
import type { Audit } from '../trust/audit.ts';
import { clientOf, nameOf, scopedTo, type Visitor } from '../trust/principal.ts';
import type { ApiActions, Continuation, Submission } from './api-actions.ts';
import { sendFrames } from './event-stream.ts';
import { findBuilds } from './find-builds.ts';
import { gone } from './gone.ts';
import { about, verbOf, type Guard } from './guard.ts';
import { readRequest } from './read-request.ts';
import { amendSchema, retrySchema, secretValue, submitSchema } from './spec-schema.ts';

const builds = '/v1/builds';
const listQuery = v.object({
  limit: v.optional(v.pipe(v.string(), v.toNumber(), v.integer(), v.minValue(1), v.maxValue(1000)), '50'),
  before: v.optional(v.string()),
  status: v.optional(v.picklist(buildStatuses)),
  text: v.optional(v.pipe(v.string(), v.maxLength(512))),
});
const eventsQuery = v.object({
  after: v.optional(v.pipe(v.string(), v.toNumber(), v.integer(), v.minValue(0)), '0'),
  follow: v.optional(v.picklist(['0', '1']), '0'),
});
const idParams = v.object({ id: v.pipe(v.string(), v.regex(/^[a-z0-9]{1,32}$/, 'not a build id')) });
const pathQuery = v.object({ digest: v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/, 'not a digest')) });
const publisherQuery = v.object({ reference: v.pipe(v.string(), v.maxLength(512)) });
const secretsBody = v.record(v.string(), secretValue);

export interface BuildRouteOptions {
  readonly guard: Guard;
  readonly actions: ApiActions;
  readonly audit: Audit;
  /** Milliseconds that a follower may take nothing of what it is sent. */
  readonly followerPatience: number;
}

export function addBuildRoutes(
  api: FastifyInstance,
  { guard, actions, audit, followerPatience }: BuildRouteOptions,
): void {
  /** The build that a request names, if whoever makes it may do with it what it asks for. */
  const buildOf = async (request: FastifyRequest): Promise<string> => {
    const result = await actions.build(readRequest(idParams, request.params).id);
    requireOwn(guard.visitorOf(request).principal, verbOf(request), result);
    return result.build;
  };

  api.post(builds, about('submit'), async (request, reply) => {
    const { spec, directories, ...rest } = readRequest(submitSchema, request.body);
    const visitor = guard.visitorOf(request);
    const submission: Submission = {
      ...given(rest, visitor),
      spec,
      directories: directories.map((record) => Buffer.from(record, 'base64')),
    };
    const id = await actions.submit(submission, gone(reply));
    void audit.note(visitor, { action: 'submit', build: id, tags: spec.tags });
    return reply.code(201).send({ build: id });
  });
  api.get(builds, about('list-builds'), async (request) => {
    return findBuilds((options) => actions.builds(options), readRequest(listQuery, request.query));
  });
  api.get(`${builds}/:id`, about('show-build'), async (request, reply) =>
    actions.show(await buildOf(request), gone(reply)),
  );
  api.get(`${builds}/:id/events`, about('read-log'), async (request, reply) => {
    const { after, follow } = readRequest(eventsQuery, request.query);
    const build = await buildOf(request);
    const signal = gone(reply);
    const lines = await actions.frames(build, { after, follow: follow === '1', signal });
    return sendFrames(reply, lines, { signal, patience: followerPatience });
  });
  api.post(`${builds}/:id/cancel`, about('cancel'), async (request, reply) => {
    const build = await buildOf(request);
    const visitor = guard.visitorOf(request);
    const { principal, from } = visitor;
    const by = principal.type === 'user' ? nameOf(principal) : `a client at ${from}`;
    await actions.cancel(build, `cancelled by ${by}`);
    void audit.note(visitor, { action: 'cancel', build });
    return reply.code(202).send({ build });
  });
  api.post(`${builds}/:id/retry`, about('retry'), async (request, reply) => {
    const build = await buildOf(request);
    const visitor = guard.visitorOf(request);
    const continuation = continuationOf(readRequest(retrySchema, request.body), visitor);
    const id = await actions.retry(build, continuation, gone(reply));
    void audit.note(visitor, { action: 'retry', build: id, what: `of build ${build}` });
    return reply.code(201).send({ build: id });
  });
  api.post(`${builds}/:id/amend`, about('amend'), async (request, reply) => {
    const build = await buildOf(request);
    const { platforms, allowEmulation, ...rest } = readRequest(amendSchema, request.body);
    const visitor = guard.visitorOf(request);
    const asked = {
      request: { platforms, allowEmulation },
      continuation: continuationOf(rest, visitor),
    };
    const id = await actions.amend(build, asked, gone(reply));
    const what = `of build ${build} by ${platforms.join(', ')}`;
    void audit.note(visitor, { action: 'amend', build: id, what });
    return reply.code(201).send({ build: id });
  });
  api.get(`${builds}/:id/path`, about('find-path'), async (request, reply) => {
    const build = await buildOf(request);
    return { path: await actions.pathOf(build, readRequest(pathQuery, request.query).digest, gone(reply)) };
  });
  api.get('/v1/publisher', about('find-publisher'), (request) =>
    actions.publisher(readRequest(publisherQuery, request.query).reference),
  );
  api.put(`${builds}/:id/secrets`, about('supply-secrets'), async (request, reply) => {
    const build = await buildOf(request);
    const secrets = decode(readRequest(secretsBody, request.body));
    await actions.supplySecrets(build, secrets);
    const what = [...secrets.keys()].join(', ');
    void audit.note(guard.visitorOf(request), { action: 'supply-secrets', build, what });
    return reply.code(204).send();
  });
  api.post(`${builds}/:id/complete`, about('complete'), async (request, reply) => {
    await actions.complete(await buildOf(request), gone(reply));
    return reply.code(204).send();
  });
}

type Given = Omit<v.InferOutput<typeof submitSchema>, 'spec' | 'directories'>;

function given({ secrets, link, client, idempotencyKey: key }: Given, visitor: Visitor) {
  const { principal } = visitor;
  return {
    principal,
    secrets: decode(secrets),
    link: link && scopedTo(principal, link),
    idempotencyKey: key && scopedTo(principal, key),
    client: clientOf(visitor, client),
  };
}

function continuationOf({ ssh, ...rest }: v.InferOutput<typeof retrySchema>, visitor: Visitor): Continuation {
  return { ...given(rest, visitor), ssh };
}

function decode(secrets: Readonly<Record<string, string>>): Map<string, Buffer> {
  return new Map(Object.entries(secrets).map(([id, value]) => [id, Buffer.from(value, 'base64')]));
}

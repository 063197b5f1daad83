/** What the coordinator's HTTP API answers, checked before it is believed. */
import * as v from 'valibot';
import { storeUsageSchema } from '../../shared/context/store-usage.ts';
import { isErrorCode, type ErrorCode } from '../../shared/errors.ts';
import { buildStatuses, type BuildEvent, type BuildResult, type Frame } from '../../shared/progress.ts';
import { taskEventSchema } from '../../shared/schemas.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const milliseconds = v.pipe(v.number(), v.finite(), v.minValue(0));

/** A newer coordinator may know codes that this client does not. */
const errorInfo = v.object({
  code: v.fallback(
    v.custom<ErrorCode>((code) => typeof code === 'string' && isErrorCode(code)),
    'internal',
  ),
  message: v.string(),
  hint: v.optional(v.string()),
});

const buildStatus = v.picklist(buildStatuses);
const taskStatus = v.picklist(['queued', 'running', 'pushed', 'failed', 'cancelled', 'skipped']);

const proofResult = v.object({
  status: v.picklist(['passed', 'failed']),
  manner: v.optional(v.picklist(['exited', 'healthy', 'up'])),
  agent: v.optional(v.string()),
  native: v.optional(v.boolean()),
  lastLine: v.optional(v.string()),
  duration: v.optional(milliseconds),
  error: v.optional(errorInfo),
});

const platformResult = v.object({
  platform: v.string(),
  status: taskStatus,
  optional: v.boolean(),
  reference: v.string(),
  digest: v.optional(v.string()),
  size: v.optional(count),
  imageSize: v.optional(count),
  config: v.optional(v.string()),
  agent: v.optional(v.string()),
  native: v.optional(v.boolean()),
  error: v.optional(errorInfo),
  attempts: v.array(
    v.object({
      agent: v.string(),
      outcome: v.optional(v.picklist(['pushed', 'failed', 'lost', 'cancelled', 'superseded'])),
      error: v.optional(errorInfo),
    }),
  ),
  timings: v.object({
    queued: v.optional(milliseconds),
    context: v.optional(milliseconds),
    build: v.optional(milliseconds),
    test: v.optional(milliseconds),
    push: v.optional(milliseconds),
  }),
  context: v.object({ sentBytes: count }),
  verify: v.optional(proofResult),
});

export const buildResultSchema = v.object({
  build: v.string(),
  name: v.string(),
  status: buildStatus,
  created: milliseconds,
  client: v.optional(v.string()),
  origin: v.optional(v.object({ type: v.picklist(['retry', 'amend']), build: v.string() })),
  error: v.optional(errorInfo),
  'image.name': v.string(),
  tags: v.array(v.string()),
  'containerimage.digest': v.optional(v.string()),
  'containerimage.descriptor': v.optional(
    v.object({ mediaType: v.string(), digest: v.string(), size: count }),
  ),
  context: v.object({
    digest: v.string(),
    files: count,
    bytes: count,
    sentBytes: count,
    complete: v.optional(v.boolean()),
    missing: v.optional(v.object({ files: count, bytes: count, paths: v.array(v.string()) })),
  }),
  platforms: v.array(platformResult),
  timings: v.object({
    context: v.optional(milliseconds),
    publish: v.optional(milliseconds),
    total: milliseconds,
  }),
}) satisfies v.GenericSchema<unknown, BuildResult>;

const eventSchema = v.variant('type', [
  ...taskEventSchema.options,
  v.object({
    type: v.literal('state'),
    time: milliseconds,
    state: v.union([buildStatus, taskStatus]),
    attempt: v.optional(count),
    native: v.optional(v.boolean()),
    reason: v.optional(v.string()),
    error: v.optional(errorInfo),
  }),
  v.object({
    type: v.literal('publish'),
    time: milliseconds,
    action: v.picklist(['verify', 'mount', 'copy', 'manifest', 'list', 'tag']),
    reference: v.string(),
    digest: v.optional(v.string()),
    bytes: v.optional(count),
  }),
  v.object({ type: v.literal('result'), time: milliseconds, result: buildResultSchema }),
]) satisfies v.GenericSchema<unknown, BuildEvent>;

const numberingSchema = v.looseObject({
  /** Which message of an agent brought it: the coordinator's own note in its log, whose lines it sends as they lie there. */
  received: v.optional(v.unknown()),
  seq: v.pipe(count, v.minValue(1)),
  build: v.string(),
  platform: v.optional(v.string()),
  agent: v.optional(v.string()),
});

/** A frame is an event and its numbering in one object; throws valibot's error. */
export function parseFrame(value: unknown): Frame {
  const { seq, build, platform, agent, received: _, ...rest } = v.parse(numberingSchema, value);
  const event = v.parse(eventSchema, rest);
  return {
    seq,
    build,
    ...(platform === undefined ? {} : { platform }),
    ...(agent === undefined ? {} : { agent }),
    ...event,
  };
}

export const errorAnswerSchema = v.object({ error: errorInfo });
export const pathSchema = v.object({ path: v.optional(v.string()) });
export const submittedSchema = v.object({ build: v.string() });
export const buildsSchema = v.object({ builds: v.array(buildResultSchema) });

export const addedAgentSchema = v.object({
  token: v.optional(v.string()),
  expiresAt: v.optional(v.number()),
});
export type AddedAgent = v.InferOutput<typeof addedAgentSchema>;

export const agentsSchema = v.object({
  agents: v.array(
    v.object({
      name: v.string(),
      platforms: v.array(v.object({ platform: v.string(), native: v.boolean() })),
      slots: count,
      busy: count,
      state: v.string(),
      reason: v.optional(v.nullable(v.string())),
      labels: v.record(v.string(), v.string()),
      version: v.string(),
      /** A coordinator that does not tell serves this one. */
      protocol: v.optional(count),
      policy: v.optional(v.array(v.string())),
      contexts: v.optional(storeUsageSchema),
    }),
  ),
});
export const storeSchema = v.object({ contexts: storeUsageSchema });
export type AgentInfo = v.InferOutput<typeof agentsSchema>['agents'][number];

/** The lines of a proof; `error` ends them early. */
export const proofLineSchema = v.variant('type', [
  v.object({ type: v.literal('found'), reference: v.string(), platforms: v.array(v.string()) }),
  v.object({ type: v.literal('started'), platform: v.string(), agent: v.string(), native: v.boolean() }),
  v.object({
    type: v.literal('ended'),
    proof: v.object({ ...proofResult.entries, platform: v.string(), output: v.string() }),
  }),
  v.object({ type: v.literal('error'), error: errorInfo }),
  v.object({ type: v.literal('over') }),
]);
export type ProofLine = v.InferOutput<typeof proofLineSchema>;
export type ProvenPlatform = Extract<ProofLine, { type: 'ended' }>['proof'];

export const planSchema = v.object({
  platforms: v.array(
    v.object({
      platform: v.string(),
      candidates: v.array(v.object({ name: v.string(), native: v.boolean() })),
      emulators: v.optional(v.array(v.string()), []),
      refusing: v.optional(v.array(v.object({ name: v.string(), refused: v.array(v.string()) })), []),
    }),
  ),
  repositories: v.optional(v.array(v.object({ repository: v.string(), error: v.optional(errorInfo) })), []),
  tags: v.optional(
    v.array(
      v.object({
        tag: v.string(),
        platforms: v.optional(v.array(v.string())),
        error: v.optional(errorInfo),
      }),
    ),
    [],
  ),
});
export type PlanAnswer = v.InferOutput<typeof planSchema>;

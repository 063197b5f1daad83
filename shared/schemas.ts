/** What a message must look like to be believed. Kept equal to the types of messages.ts by the compiler. */
import * as v from 'valibot';
import { attemptGrammar } from './attempt.ts';
import { storeUsageSchema } from './context/store-usage.ts';
import { diskSpacesSchema } from './disk-space.ts';
import { errorCodes } from './errors.ts';
import { processUsageSchema } from './process-usage.ts';
import { limits, type ToAgent, type ToCoordinator } from './messages.ts';

/** A bound for every text that has none of its own: log lines are the longest. */
const maxText = 128 * 1024;

/** Each costs an engine a build of its own. */
export const maxNamedContexts = 32;

const text = v.pipe(v.string(), v.maxLength(maxText));
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(256));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const milliseconds = v.pipe(v.number(), v.finite(), v.minValue(0));
const digest = v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/, 'not a sha256 digest'));
const attempt = v.pipe(v.string(), v.regex(attemptGrammar, 'not an attempt'));
const platform = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9][a-z0-9_.-]*(\/[a-z0-9][a-z0-9_.-]*){1,2}$/, 'not a platform'),
);
const errorCode = v.picklist(errorCodes, 'unknown error code');
const state = v.picklist(['ready', 'draining', 'cordoned']);

/** Plain records only: `__proto__` and its like are refused, where `v.record` alone would drop them silently. */
const textRecord = v.pipe(
  v.unknown(),
  v.check(
    (record) => !['__proto__', 'constructor', 'prototype'].some((key) => Object.hasOwn(Object(record), key)),
    'reserved key',
  ),
  v.record(v.pipe(v.string(), v.maxLength(4096)), text),
);

export const errorInfoSchema = v.strictObject({ code: errorCode, message: text, hint: v.optional(text) });

const timings = v.strictObject({
  queued: v.optional(milliseconds),
  context: v.optional(milliseconds),
  build: v.optional(milliseconds),
  test: v.optional(milliseconds),
  push: v.optional(milliseconds),
});

export const taskEventSchema = v.variant('type', [
  v.strictObject({
    type: v.literal('step'),
    time: milliseconds,
    step: name,
    name: text,
    status: v.picklist(['started', 'done', 'cached', 'failed', 'cancelled']),
    duration: v.optional(milliseconds),
    error: v.optional(text),
  }),
  v.strictObject({
    type: v.literal('log'),
    time: milliseconds,
    step: name,
    stream: v.picklist(['stdout', 'stderr']),
    text,
  }),
  v.strictObject({ type: v.literal('context'), time: milliseconds, engineBytes: count, sentBytes: count }),
  v.strictObject({
    type: v.literal('push'),
    time: milliseconds,
    layer: v.pipe(v.string(), v.maxLength(256)),
    status: text,
    current: v.optional(count),
    total: v.optional(count),
  }),
  v.strictObject({ type: v.literal('warning'), time: milliseconds, message: text }),
]);

const outcome = v.variant('status', [
  v.strictObject({
    status: v.literal('pushed'),
    image: v.strictObject({
      imageId: digest,
      digest,
      size: count,
      config: v.optional(
        v.strictObject({
          os: name,
          architecture: name,
          variant: v.optional(name),
          osVersion: v.optional(name),
        }),
      ),
      timings,
      sentBytes: count,
    }),
  }),
  v.strictObject({
    status: v.literal('failed'),
    kind: v.picklist(['build', 'infrastructure']),
    error: errorInfoSchema,
    timings,
    sentBytes: count,
  }),
  v.strictObject({ status: v.literal('cancelled'), reason: text }),
]);

const repository = v.pipe(
  v.string(),
  v.maxLength(255),
  v.regex(/^[a-z0-9]+([._-]+[a-z0-9]+)*(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/, 'not a repository'),
);

const patterns = v.array(v.pipe(v.string(), v.maxLength(limits.selection)));

const selection = v.strictObject({
  followPaths: patterns,
  includePatterns: patterns,
  excludePatterns: patterns,
});

const question = v.variant('kind', [
  v.strictObject({ kind: v.literal('push-auth') }),
  v.strictObject({ kind: v.literal('pull-scheme'), host: name }),
  v.strictObject({
    kind: v.literal('pull-auth'),
    host: name,
    repositories: v.pipe(v.array(repository), v.maxLength(100)),
  }),
  v.strictObject({ kind: v.literal('secret'), id: name }),
]);

const auth = v.variant('type', [
  v.strictObject({ type: v.literal('anonymous') }),
  v.strictObject({ type: v.literal('bearer'), token: text, lifetime: v.optional(milliseconds) }),
  v.strictObject({ type: v.literal('basic'), username: text, password: text }),
]);

const answer = v.variant('kind', [
  v.strictObject({ kind: v.literal('auth'), auth }),
  v.strictObject({
    kind: v.literal('pull-scheme'),
    scheme: v.picklist(['anonymous', 'bearer', 'basic']),
  }),
  // A secret of 500 KiB, BuildKit's own limit, in base64. The library's own message would repeat the value.
  v.strictObject({
    kind: v.literal('secret'),
    value: v.pipe(v.string(), v.maxLength(700_000), v.base64('not base64')),
  }),
  v.strictObject({ kind: v.literal('error'), error: errorInfoSchema }),
]);

const treeName = v.pipe(v.string(), v.maxLength(255));
/** Of modification times. */
export const timesSchema = v.strictObject({ digest, size: count });

export const namedContextSchema = v.strictObject({
  name: v.pipe(v.string(), v.maxLength(128), v.regex(/^[a-z][a-z0-9._-]*$/, 'not a name of a stage')),
  root: digest,
  times: v.optional(timesSchema),
});

/** The command's texts are bounded together with a build's arguments and labels. */
export const imageTestSchema = v.strictObject({
  command: v.pipe(v.array(text), v.minLength(1), v.maxLength(1000)),
  timeout: v.pipe(milliseconds, v.minValue(1)),
  network: v.boolean(),
});

export const proofRequestSchema = v.strictObject({
  command: v.optional(imageTestSchema.entries.command),
  timeout: imageTestSchema.entries.timeout,
  network: v.boolean(),
});

const proof = v.pipe(v.string(), v.regex(/^[a-zA-Z0-9_-]{8,64}$/, 'not a proof'));

const proofOrder = v.strictObject({
  ...proofRequestSchema.entries,
  reference: v.pipe(v.string(), v.maxLength(512), v.regex(/@sha256:[0-9a-f]{64}$/, 'no digest')),
  platform,
  auth,
});

const proofMessage = { output: text, duration: milliseconds };

const proofOutcome = v.variant('status', [
  v.strictObject({
    ...proofMessage,
    status: v.literal('passed'),
    manner: v.picklist(['exited', 'healthy', 'up']),
  }),
  v.strictObject({
    ...proofMessage,
    status: v.literal('failed'),
    kind: v.picklist(['image', 'infrastructure']),
    error: errorInfoSchema,
  }),
]);

const contextLimits = v.strictObject({ entries: count, bytes: count, pathBytes: count, nameBytes: count });

const task = v.strictObject({
  build: name,
  platform,
  // A name of 255 characters, a tag of 128, and what is between them.
  image: v.pipe(v.string(), v.minLength(1), v.maxLength(512)),
  context: v.strictObject({ root: digest, times: v.optional(timesSchema), name: treeName }),
  dockerfile: v.strictObject({ root: digest, name: treeName }),
  contexts: v.pipe(v.array(namedContextSchema), v.maxLength(maxNamedContexts)),
  contextLimits: v.optional(contextLimits),
  args: textRecord,
  labels: textRecord,
  target: v.optional(name),
  noCache: v.boolean(),
  pull: v.boolean(),
  network: v.optional(name),
  extraHosts: v.pipe(v.array(name), v.maxLength(1000)),
  cacheFrom: v.pipe(v.array(v.pipe(v.string(), v.minLength(1), v.maxLength(512))), v.maxLength(100)),
  secrets: v.pipe(v.array(name), v.maxLength(1000)),
  ssh: v.pipe(v.array(name), v.maxLength(1000)),
  test: v.optional(imageTestSchema),
  contextKey: text,
});

export const toCoordinatorSchema = v.variant('type', [
  v.strictObject({
    type: v.literal('hello'),
    protocol: count,
    version: name,
    name: v.pipe(v.string(), v.regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/, 'not a name of an agent')),
    session: v.pipe(v.string(), v.regex(/^[a-zA-Z0-9_-]{8,64}$/, 'not a session')),
    platforms: v.pipe(v.array(v.strictObject({ platform, native: v.boolean() })), v.maxLength(64)),
    slots: v.pipe(count, v.maxValue(1024)),
    weight: v.pipe(v.number(), v.minValue(0.01), v.maxValue(1000)),
    labels: textRecord,
    policy: v.optional(v.pipe(v.array(name), v.maxLength(1000))),
    engine: v.strictObject({ version: text, apiVersion: text }),
    state,
    reason: v.optional(text),
    attempts: v.pipe(v.array(attempt), v.maxLength(10_000)),
  }),
  v.strictObject({
    type: v.literal('beat'),
    state,
    reason: v.optional(text),
    contexts: v.optional(storeUsageSchema),
    disks: v.optional(diskSpacesSchema),
    usage: v.optional(processUsageSchema),
  }),
  v.strictObject({ type: v.literal('accept'), attempt }),
  v.strictObject({ type: v.literal('decline'), attempt, reason: text }),
  v.strictObject({
    type: v.literal('progress'),
    attempt,
    frame: v.pipe(count, v.minValue(1)),
    events: v.pipe(v.array(taskEventSchema), v.maxLength(20_000)),
  }),
  v.strictObject({ type: v.literal('report'), attempt, lastFrame: count, outcome }),
  v.strictObject({ type: v.literal('selected'), attempt, tree: digest, selection }),
  v.strictObject({ type: v.literal('ask'), attempt, ask: count, question }),
  v.strictObject({ type: v.literal('proved'), proof, outcome: proofOutcome }),
]) satisfies v.GenericSchema<unknown, ToCoordinator>;

export const toAgentSchema = v.variant('type', [
  v.strictObject({
    type: v.literal('welcome'),
    protocol: count,
    version: name,
    heartbeat: milliseconds,
    lost: milliseconds,
  }),
  v.strictObject({ type: v.literal('beat') }),
  v.strictObject({ type: v.literal('offer'), attempt, task }),
  v.strictObject({ type: v.literal('cancel'), attempt, reason: text }),
  v.strictObject({ type: v.literal('acknowledge'), attempt, frame: count }),
  v.strictObject({ type: v.literal('settle'), attempt }),
  v.strictObject({ type: v.literal('answer'), attempt, ask: count, answer }),
  v.strictObject({ type: v.literal('prove'), proof, order: proofOrder }),
  v.strictObject({ type: v.literal('stop-proof'), proof }),
]) satisfies v.GenericSchema<unknown, ToAgent>;

/** What a submitted build must look like. Kept equal to BuildSpec by the compiler. */
import * as v from 'valibot';
import { ArchfarmError } from '../../shared/errors.ts';
import { limits } from '../../shared/messages.ts';
import { formatPlatform, parsePlatform } from '../../shared/platform.ts';
import {
  imageTestSchema,
  maxNamedContexts,
  namedContextSchema,
  proofRequestSchema,
  timesSchema,
} from '../../shared/schemas.ts';
import { formatReference, parseReference, withDefaultTag } from '../../shared/reference.ts';
import { platformImage, requireChildTags, taskOf } from '../farm/task.ts';
import { attestationModes, checkListType, listTypes } from '../project/annotations.ts';
import { readCacheSource } from '../project/cache-references.ts';
import { maxPriority } from '../project/priority.ts';
import { maxOtherFrontends, type BuildSpec } from '../project/spec.ts';

const name = v.pipe(v.string(), v.minLength(1), v.maxLength(255));
const text = v.pipe(v.string(), v.maxLength(64 * 1024));
const digest = v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/, 'not a sha256 digest'));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** `v.record` drops reserved keys silently, so they are looked for before it. */
const textRecord = v.pipe(
  v.unknown(),
  v.check(
    (record) => !['__proto__', 'constructor', 'prototype'].some((key) => Object.hasOwn(Object(record), key)),
    'reserved key',
  ),
  v.record(v.pipe(v.string(), v.minLength(1), v.maxLength(4096)), text),
);
/** A name of 255 characters, a tag of 128, and what is between them. */
const reference = v.pipe(v.string(), v.minLength(1), v.maxLength(512));
/** Bytes of arguments, labels, cache references and the test: an agent is offered them in one message, among other things. */
const maxTexts = limits.message / 2;
/** Bytes of what an agent is offered, as JSON; around it come the attempt and the limits of contexts. */
const maxTask = limits.message - 64 * 1024;
const names = v.pipe(v.array(name), v.maxLength(1000));

const dockerfileRoot = v.strictObject({
  root: digest,
  name,
  frontend: v.optional(reference),
  otherFrontends: v.optional(v.pipe(v.array(reference), v.maxLength(maxOtherFrontends))),
});

const buildSpecSchema = v.strictObject({
  name,
  tags: v.pipe(v.array(reference), v.minLength(1), v.maxLength(100)),
  platforms: v.pipe(v.array(name), v.maxLength(64)),
  optional: v.optional(v.pipe(v.array(name), v.maxLength(64)), []),
  agentLabels: v.optional(textRecord, {}),
  priority: v.optional(v.pipe(v.number(), v.integer(), v.minValue(-maxPriority), v.maxValue(maxPriority)), 0),
  args: textRecord,
  labels: textRecord,
  target: v.optional(name),
  noCache: v.boolean(),
  pull: v.boolean(),
  network: v.optional(name),
  extraHosts: names,
  secrets: names,
  ssh: names,
  cacheFrom: v.pipe(v.array(reference), v.maxLength(100)),
  suffix: v.picklist(['repo', 'tag']),
  type: v.picklist(listTypes),
  annotations: v.strictObject({
    index: textRecord,
    everyPlatform: textRecord,
    platforms: v.record(name, textRecord),
  }),
  attestations: v.optional(v.picklist(attestationModes)),
  childTags: v.boolean(),
  force: v.boolean(),
  inlineCache: v.boolean(),
  test: v.optional(imageTestSchema),
  verify: v.optional(proofRequestSchema),
  allowEmulation: v.boolean(),
  waitAgent: count,
  timeout: v.optional(v.pipe(count, v.minValue(1))),
  context: v.strictObject({
    root: digest,
    times: v.optional(timesSchema),
    name: v.pipe(v.string(), v.maxLength(255)),
    files: count,
    bytes: count,
  }),
  dockerfile: dockerfileRoot,
  perPlatform: v.optional(
    v.record(
      name,
      v.strictObject({
        args: v.optional(textRecord),
        labels: v.optional(textRecord),
        target: v.optional(name),
        dockerfile: v.optional(dockerfileRoot),
      }),
    ),
  ),
  contexts: v.pipe(v.array(namedContextSchema), v.maxLength(maxNamedContexts)),
}) satisfies v.GenericSchema<unknown, BuildSpec>;

export const clientNameSchema = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(255),
  v.regex(/^\P{Cc}+$/u, 'not a name of a client'),
);

/** Base64. The library's own message would repeat the value. */
export const secretValue = v.pipe(v.string(), v.maxLength(700_000), v.base64('not base64'));

export const submitSchema = v.strictObject({
  spec: buildSpecSchema,
  secrets: v.optional(v.record(name, secretValue), {}),
  /** The client's connection that contents can be had from. */
  link: v.optional(v.pipe(v.string(), v.regex(/^[a-zA-Z0-9_-]{8,64}$/))),
  /** How the client calls itself: `user@host`. */
  client: v.optional(clientNameSchema),
  /** Records of directories, base64. */
  directories: v.optional(v.pipe(v.array(v.pipe(v.string(), v.base64('not base64'))), v.maxLength(1000)), []),
  idempotencyKey: v.optional(v.pipe(v.string(), v.minLength(8), v.maxLength(128))),
});

const { secrets, link, client, idempotencyKey } = submitSchema.entries;
const goingOn = { secrets, link, client, idempotencyKey, ssh: v.optional(names, []) };
export const retrySchema = v.strictObject(goingOn);
export const amendSchema = v.strictObject({
  ...goingOn,
  platforms: v.pipe(v.array(name), v.minLength(1), v.maxLength(64)),
  allowEmulation: v.optional(v.boolean(), false),
});

/** Names in their one spelling, without repeats; throws `usage` for what a name cannot be. */
export function normalizeSpec(spec: BuildSpec): BuildSpec {
  const tags = [...new Set(spec.tags.map((tag) => formatReference(withDefaultTag(parseReference(tag)))))];
  const digested = tags.find((tag) => tag.includes('@'));
  if (digested !== undefined) {
    throw new ArchfarmError('usage', `${digested} names a digest: a build can only be published under a tag`);
  }
  const texts = Buffer.byteLength(
    JSON.stringify([spec.args, spec.labels, spec.cacheFrom, spec.test, spec.verify, spec.perPlatform]),
  );
  if (texts > maxTexts) {
    throw new ArchfarmError(
      'usage',
      `the build arguments, labels, cache references and test have ${texts} bytes, the limit is ${maxTexts}`,
    );
  }
  const platforms = [...new Set(spec.platforms.map((platform) => formatPlatform(parsePlatform(platform))))];
  // A name that is too long once it is suffixed is better refused now than after an hour of building.
  const cacheFrom = spec.cacheFrom.map((source) => readCacheSource(source, 'cacheFrom'));
  for (const platform of platforms) {
    for (const name of [...tags, ...cacheFrom])
      platformImage({ tags: [name], suffix: spec.suffix }, platform);
  }
  requireChildTags({ ...spec, tags }, platforms);
  const optional = [...new Set(spec.optional.map((platform) => formatPlatform(parsePlatform(platform))))];
  checkListType(spec);
  const stray = Object.keys(spec.annotations.platforms).find((platform) => !platforms.includes(platform));
  if (platforms.length > 0 && stray !== undefined) {
    throw new ArchfarmError('usage', `an annotation is for ${stray}, which is not built`, {
      hint: `the platforms are ${platforms.join(', ')}`,
    });
  }
  const perPlatform = Object.entries(spec.perPlatform ?? {}).map(
    ([platform, override]) => [formatPlatform(parsePlatform(platform)), override] as const,
  );
  const normal = {
    ...spec,
    tags,
    platforms,
    optional,
    cacheFrom,
    perPlatform: Object.fromEntries(perPlatform),
  };
  for (const platform of platforms) requireOfferable(normal, platform);
  return normal;
}

/** A longer message than an agent takes would cut its connection, and be offered to the next. */
function requireOfferable(spec: BuildSpec, platform: string): void {
  const bytes = Buffer.byteLength(JSON.stringify(taskOf(spec, { build: '', platform })));
  if (bytes <= maxTask) return;
  throw new ArchfarmError(
    'usage',
    `what an agent is told of the build for ${platform} has ${bytes} bytes, the limit is ${maxTask}`,
    { hint: 'give it fewer or shorter arguments, labels, hosts, secrets, ssh mounts or contexts' },
  );
}

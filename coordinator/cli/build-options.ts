/** The flags of `archfarm build`, from what the command line holds to typed options. */
import * as v from 'valibot';
import type { ContextLimits } from '../../shared/context/limits.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { formatPlatform, parsePlatform } from '../../shared/platform.ts';
import { parseReference } from '../../shared/reference.ts';
import { readAdditionalContext, type AdditionalContext } from '../project/additional-contexts.ts';
import { attestationModes, checkListType, listTypes, readAnnotations } from '../project/annotations.ts';
import { checkCacheTarget, readCacheSource } from '../project/cache-references.ts';
import type { Environment } from '../project/interpolate.ts';
import { readVerifyFlags } from '../project/image-proof.ts';
import { parseTestTimeout, shellCommand, type TestRequest } from '../project/image-test.ts';
import { parseSecret, parseSsh } from '../project/mounts.ts';
import { parsePriority } from '../project/priority.ts';
import type { Surroundings } from '../project/find-subject.ts';
import type { PlanFlags } from '../project/resolve.ts';
import { readContextLimits } from './context-limits.ts';
import { parseDuration } from '../../shared/duration.ts';
import type { ProgressMode } from './progress/create-renderer.ts';
import type { RegistryFlags } from './registry-options.ts';

export interface BuildOptions extends PlanFlags {
  readonly detach: boolean;
  readonly dryRun: boolean;
  readonly progress: ProgressMode;
  readonly metadataFile?: string | undefined;
  readonly iidfile?: string | undefined;
  readonly contextLimits: ContextLimits;
  /** For a build without a server. */
  readonly registry: RegistryFlags;
}

const texts = v.optional(v.array(v.string()), []);
const text = v.optional(v.string());
const flag = v.optional(v.boolean(), false);

/** What commander gives for the flags that program.ts declares. */
const givenSchema = v.object({
  tag: texts,
  file: text,
  platform: texts,
  optional: texts,
  agentLabel: texts,
  priority: text,
  buildArg: texts,
  buildContext: texts,
  contextLimit: texts,
  label: texts,
  target: text,
  secret: texts,
  ssh: texts,
  cache: v.optional(v.boolean(), true),
  pull: flag,
  network: text,
  cacheFrom: texts,
  cacheTo: texts,
  suffix: v.optional(v.picklist(['repo', 'tag'])),
  type: v.optional(v.picklist(listTypes)),
  annotation: texts,
  attestations: v.optional(v.picklist(attestationModes)),
  childTags: flag,
  test: text,
  testTimeout: text,
  testNetwork: v.optional(v.boolean()),
  verify: flag,
  verifyRun: text,
  verifyTimeout: text,
  verifyNetwork: v.optional(v.boolean()),
  force: flag,
  allowEmulation: flag,
  waitAgent: v.optional(v.string(), '15s'),
  timeout: text,
  detach: flag,
  dryRun: flag,
  project: text,
  progress: v.optional(v.picklist(['auto', 'tty', 'plain', 'rawjson', 'quiet']), 'auto'),
  metadataFile: text,
  iidfile: text,
  insecureRegistry: texts,
  registryConfig: text,
  registryCa: texts,
  tokenServer: texts,
});

/** Throws `usage` naming the flag whose value is wrong. */
export function readBuildOptions(flags: unknown, surroundings: Surroundings): BuildOptions {
  const given = v.parse(givenSchema, flags);
  const { environment } = surroundings;
  for (const tag of given.tag) parseReference(tag);
  if (given.detach && (given.metadataFile ?? given.iidfile) !== undefined) {
    throw new ArchfarmError('usage', '--detach does not wait for what --metadata-file and --iidfile hold', {
      hint: 'archfarm show --json ID gives the result later',
    });
  }
  if (given.detach && given.dryRun) {
    throw new ArchfarmError('usage', '--detach and --dry-run do not go together');
  }
  const annotations = readAnnotations(given.annotation);
  checkListType({ type: given.type ?? 'auto', annotations, attestations: given.attestations });
  for (const target of given.cacheTo) checkCacheTarget(target);
  return {
    tags: given.tag,
    platforms: given.platform.flatMap(readPlatforms),
    optional: given.optional
      .flatMap(readPlatforms)
      .map((platform) => formatPlatform(parsePlatform(platform))),
    agentLabels: Object.fromEntries(given.agentLabel.map((label) => readLabel(label, '--agent-label'))),
    priority: given.priority === undefined ? undefined : parsePriority(given.priority, '--priority'),
    dockerfile: given.file,
    args: readArguments(given.buildArg, environment),
    contexts: given.buildContext.map((context) => readContext(context, surroundings.cwd)),
    labels: Object.fromEntries(given.label.map((label) => readLabel(label, '--label'))),
    target: given.target,
    network: given.network,
    noCache: !given.cache,
    pull: given.pull,
    secrets: given.secret.map((secret) => parseSecret(secret, surroundings)),
    ssh: given.ssh.map((mount) => parseSsh(mount, surroundings)),
    ...withoutSource(given),
    cacheFrom: given.cacheFrom.map((source) => readCacheSource(source)),
    inlineCache: given.cacheTo.length > 0,
    suffix: given.suffix,
    type: given.type,
    annotations,
    attestations: given.attestations,
    childTags: given.childTags,
    test: readTest(given),
    verify: readVerifyFlags(given),
    force: given.force,
    allowEmulation: given.allowEmulation,
    waitAgent: parseDuration(given.waitAgent, '--wait-agent'),
    timeout: given.timeout === undefined ? undefined : readTimeout(given.timeout),
    project: given.project,
    detach: given.detach,
    dryRun: given.dryRun,
    progress: given.progress,
    metadataFile: given.metadataFile,
    iidfile: given.iidfile,
    contextLimits: readContextLimits(given.contextLimit, environment),
    registry: {
      insecureRegistry: given.insecureRegistry,
      registryConfig: given.registryConfig,
      registryCa: given.registryCa,
      tokenServer: given.tokenServer,
    },
  };
}

function withoutSource({ secret, ssh }: v.InferOutput<typeof givenSchema>): Pick<PlanFlags, 'withoutSource'> {
  const secrets = secret.flatMap((text) => /^id=([^,]+)$/.exec(text)?.[1] ?? []);
  const mounts = ssh.filter((text) => !text.includes('='));
  return secrets.length + mounts.length === 0 ? {} : { withoutSource: { secrets, ssh: mounts } };
}

function readPlatforms(list: string): string[] {
  const platforms = list.split(',').map((platform) => platform.trim());
  for (const platform of platforms) parsePlatform(platform);
  return platforms;
}

/** As docker: a name alone passes on what the environment has, and nothing where it has nothing. */
function readArguments(given: readonly string[], environment: Environment): Record<string, string> {
  const entries = given.map((argument) => {
    const [name, value] = splitPair(argument, '--build-arg');
    return [name, value ?? environment[name]] as const;
  });
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function readContext(text: string, cwd: string): AdditionalContext {
  const [name, value] = splitPair(text, '--build-context');
  const context = readAdditionalContext(name, value ?? '', cwd);
  if (!('problem' in context)) return context;
  throw new ArchfarmError('usage', `--build-context: ${context.problem}`, { hint: context.hint });
}

function readLabel(label: string, option: string): [name: string, value: string] {
  const [name, value] = splitPair(label, option);
  return [name, value ?? ''];
}

function splitPair(text: string, option: string): [name: string, value: string | undefined] {
  const equals = text.indexOf('=');
  const name = equals === -1 ? text : text.slice(0, equals);
  if (name === '') {
    throw new ArchfarmError('usage', `${option} ${JSON.stringify(text)} has no name`, {
      hint: `the form is ${option} NAME=VALUE`,
    });
  }
  return [name, equals === -1 ? undefined : text.slice(equals + 1)];
}

function readTest({
  test,
  testTimeout,
  testNetwork,
}: v.InferOutput<typeof givenSchema>): TestRequest | undefined {
  if ((test ?? testTimeout ?? testNetwork) === undefined) return undefined;
  if (test?.trim() === '') throw new ArchfarmError('usage', '--test has no command');
  return {
    command: test === undefined ? undefined : shellCommand(test),
    timeout: testTimeout === undefined ? undefined : parseTestTimeout(testTimeout, '--test-timeout'),
    network: testNetwork,
  };
}

function readTimeout(text: string): number {
  const timeout = parseDuration(text, '--timeout');
  if (timeout === 0) throw new ArchfarmError('usage', '--timeout must be longer than nothing');
  return timeout;
}

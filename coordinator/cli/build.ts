/** `archfarm build`: plan, scan, submit, follow, and say how it ended. */
import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { cacheDirectory } from '../cache-directory.ts';
import { checkTogether, scanAdditionalContexts, type NamedSnapshot } from '../context/additional-contexts.ts';
import type { DockerfileTree } from '../context/dockerfile.ts';
import { openContext, type OpenedContext } from '../context/open-context.ts';
import { recordsAlong } from '../context/records-along.ts';
import { SnapshotSource } from '../context/snapshot.ts';
import { contextName } from '../project/context-source.ts';
import { resolvePlan } from '../project/resolve.ts';
import { maxOtherFrontends, type BuildPlan, type BuildSpec, type DockerfileRoot } from '../project/spec.ts';
import { afterwards, submitPatience } from './afterwards.ts';
import type { Api } from './api.ts';
import type { BuildOptions } from './build-options.ts';
import { clientName } from './client-name.ts';
import { conclude } from './conclusion.ts';
import { placesOf } from './dockerfile-places.ts';
import { accessFarm, type FarmAccess } from './farm-access.ts';
import { followToEnd } from './follow-to-end.ts';
import type { GlobalOptions } from './global-options.ts';
import type { Interrupts } from './interrupts.ts';
import { sayLeft } from './left.ts';
import { print } from './output.ts';
import { warn } from './own-words.ts';
import { persist } from './persist.ts';
import { createRenderer } from './progress/create-renderer.ts';
import type { Renderer } from './progress/renderer.ts';
import { requireWritable } from './progress/metadata.ts';
import { readSecrets } from './secret-values.ts';

/** Gives the exit status. `target` is a service, a directory, or the only thing there is to build. */
export async function runBuild(
  target: string | undefined,
  options: BuildOptions,
  global: GlobalOptions & Pick<Interrupts, 'second'>,
): Promise<number> {
  const mode = global.quiet ? 'quiet' : options.progress;
  const tell = (warning: string): void => {
    if (mode !== 'quiet') warn(warning);
  };
  const surroundings = { cwd: process.cwd(), environment: process.env, warn: tell };
  const { plan, warnings, environment } = await resolvePlan(target, options, surroundings);
  for (const file of [options.metadataFile, options.iidfile]) {
    if (file !== undefined) await requireWritable(file);
  }
  const secrets = await readSecrets(plan.secrets, environment);
  const { signal } = global;
  const statCache = join(cacheDirectory(process.env), 'stat');
  const scanning = { statCache, limits: options.contextLimits, signal };
  await using opened = await openContext(plan, scanning);
  const { context, dockerfile, perPlatform } = opened;
  const contexts = await scanAdditionalContexts(plan.contexts, scanning);
  const trees = [context, ...contexts.map(({ tree }) => tree)];
  checkTogether(trees, options.contextLimits);
  for (const warning of [...warnings, ...trees.flatMap((tree) => tree.warnings)]) tell(warning);
  await using farm = await accessFarm(options, global);
  if (options.dryRun) {
    const { printPlan } = await import('./dry-run.ts');
    const spec = specOf(plan, { context, dockerfile, perPlatform, contexts, local: farm.local });
    await printPlan(plan, trees, { api: farm.api, spec, signal });
    return 0;
  }
  const spec = specOf(plan, { context, dockerfile, perPlatform, contexts, local: farm.local });
  using renderer = await createRenderer(mode, { screen: process.stderr, environment: process.env });
  const snapshots = [...trees, dockerfile, ...perPlatform.values()];
  const link = randomBytes(12).toString('base64url');
  const submission = {
    spec,
    secrets,
    link,
    client: clientName(),
    directories: recordsAlong(snapshots).map((record) => record.toString('base64')),
    idempotencyKey: randomUUID(),
  };
  // An interrupt must not leave a build behind that nobody knows the id of.
  const submitting = farm.api.submit(submission, afterwards(signal, submitPatience));
  submitting.catch(() => {});
  // Loaded while the coordinator is at work: the request leaves in the second turn of the event loop from here.
  for (let turn = 0; turn < 2; turn++) await setImmediate();
  const { ContextUpload } = await import('./context-upload.ts');
  const source = new SnapshotSource(snapshots);
  const upload = new ContextUpload({
    coordinator: farm.url,
    token: farm.token,
    trust: farm.trust,
    link,
    source,
  });
  try {
    const build = await submitting;
    upload.submitted(build);
    if (options.detach) {
      print(build);
      await handOver(build, farm.api, { signal, renderer });
      return 0;
    }
    using _ssh = await forwardSsh(plan, build, farm);
    const findPlace = placesOf(plan, opened);
    const followed = await followToEnd(build, { farm, secrets, renderer, findPlace, interrupts: global });
    renderer[Symbol.dispose]();
    if (followed.type === 'left') return sayLeft(build);
    return await conclude(followed.result, { options, mode, report: followed.report });
  } finally {
    await upload.close();
  }
}

/** The build lives without this process once the coordinator has all its files; interrupted before, it is cancelled. */
async function handOver(
  build: string,
  api: Api,
  { signal, renderer }: { readonly signal: AbortSignal; readonly renderer: Renderer },
): Promise<void> {
  const onBreak = (): void => renderer.note('the coordinator is away; waiting for it');
  try {
    await persist(() => api.complete(build, signal), { signal, onBreak });
  } catch (error) {
    if (signal.aborted) await api.cancel(build, AbortSignal.timeout(submitPatience));
    throw error;
  }
}

interface Trees extends Pick<OpenedContext, 'context' | 'dockerfile' | 'perPlatform'> {
  readonly contexts: readonly NamedSnapshot[];
  /** The one agent of a farm of our own is there already: nobody else will come. */
  readonly local: boolean;
}

function specOf(
  plan: BuildPlan,
  { context, dockerfile, perPlatform: dockerfiles, contexts, local }: Trees,
): BuildSpec {
  const { context: source, dockerfile: _dockerfile, perPlatform, secrets, ssh, waitAgent, ...rest } = plan;
  const overrides = Object.entries(perPlatform).map(([platform, override]) => {
    const own = dockerfiles.get(platform);
    return [platform, { ...override, dockerfile: own && rootOf(own) }] as const;
  });
  return {
    ...rest,
    waitAgent: local ? 0 : waitAgent,
    secrets: secrets.map(({ id }) => id),
    ssh: ssh.map(({ id }) => id),
    context: {
      root: context.root,
      times: context.times,
      name: contextName(source),
      files: contexts.reduce((files, { tree }) => files + tree.files, context.files),
      bytes: contexts.reduce((bytes, { tree }) => bytes + tree.bytes, context.bytes),
    },
    dockerfile: rootOf(dockerfile),
    perPlatform: overrides.length === 0 ? undefined : Object.fromEntries(overrides),
    contexts: contexts.map(({ name, tree }) => ({ name, root: tree.root, times: tree.times })),
  };
}

function rootOf({ root, name, frontends }: DockerfileTree): DockerfileRoot {
  const [frontend, ...others] = frontends;
  return {
    root,
    name,
    ...(frontend === undefined ? {} : { frontend }),
    ...(others.length === 0 ? {} : { otherFrontends: others.slice(0, maxOtherFrontends) }),
  };
}

async function forwardSsh(
  plan: BuildPlan,
  build: string,
  { url, token, trust }: FarmAccess,
): Promise<Disposable> {
  if (plan.ssh.length === 0) return { [Symbol.dispose]() {} };
  const { SshForward } = await import('./ssh-forward.ts');
  const forward = new SshForward({ coordinator: url, token, trust, build, sources: plan.ssh });
  return { [Symbol.dispose]: () => forward.close() };
}

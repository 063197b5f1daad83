/** `archfarm build`: plan, scan, submit, follow, and say how it ended. */
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import type { BuildResult } from '../../shared/progress.ts';
import { cacheDirectory } from '../cache-directory.ts';
import type { DockerfileTree } from '../context/dockerfile.ts';
import { openContext } from '../context/open-context.ts';
import { SnapshotSource, type Snapshot } from '../context/snapshot.ts';
import { contextName } from '../project/context-source.ts';
import { resolvePlan } from '../project/resolve.ts';
import type { BuildPlan, BuildSpec } from '../project/spec.ts';
import type { Api } from './api.ts';
import type { BuildOptions } from './build-options.ts';
import { conclude } from './conclusion.ts';
import { accessFarm, type FarmAccess } from './farm-access.ts';
import { followBuild } from './follow.ts';
import type { GlobalOptions } from './global-options.ts';
import { print } from './output.ts';
import { createRenderer } from './progress/create-renderer.ts';
import { requireWritable } from './progress/metadata.ts';
import { wantsColours, type Renderer } from './progress/renderer.ts';
import { FailureReport } from './progress/failure-report.ts';
import { readSecrets } from './secret-values.ts';

/** Gives the exit status. `target` is a service, a directory, or the only thing there is to build. */
export async function runBuild(
  target: string | undefined,
  options: BuildOptions,
  global: GlobalOptions,
): Promise<number> {
  const surroundings = { cwd: process.cwd(), environment: process.env };
  const { plan, warnings } = await resolvePlan(target, options, surroundings);
  for (const file of [options.metadataFile, options.iidfile]) {
    if (file !== undefined) await requireWritable(file);
  }
  const secrets = await readSecrets(plan.secrets, process.env);
  const { signal } = global;
  await using opened = await openContext(plan, {
    statCache: join(cacheDirectory(process.env), 'stat'),
    signal,
  });
  const { context, dockerfile } = opened;
  await using farm = await accessFarm(options, global);
  if (options.dryRun) {
    const { printPlan } = await import('./dry-run.ts');
    await printPlan(plan, context, { api: farm.api, signal });
    return 0;
  }
  const spec = specOf(plan, { context, dockerfile, local: farm.local });
  const mode = global.quiet ? 'quiet' : options.progress;
  using renderer = await createRenderer(mode, { screen: process.stderr, environment: process.env });
  for (const warning of [...warnings, ...context.warnings]) renderer.note(`WARNING: ${warning}`);

  const snapshots = [context, dockerfile];
  const link = randomBytes(12).toString('base64url');
  const submission = {
    spec,
    secrets,
    link,
    directories: smallTrees(snapshots),
    idempotencyKey: randomUUID(),
  };
  // An interrupt must not leave a build behind that nobody knows the id of.
  const submitting = farm.api.submit(submission, afterwards(signal, submitPatience));
  submitting.catch(() => {});
  // Loaded while the coordinator is at work.
  const { ContextUpload } = await import('./context-upload.ts');
  const source = new SnapshotSource(snapshots);
  const upload = new ContextUpload({ coordinator: farm.url, token: farm.token, link, source });
  try {
    const build = await submitting;
    upload.submitted(build);
    if (options.detach) {
      await handOver(build, farm.api, signal);
      print(build);
      return 0;
    }
    using _ssh = await forwardSsh(plan, build, farm);
    const { result, report } = await follow(build, { farm, secrets, renderer, signal });
    renderer[Symbol.dispose]();
    return await conclude(result, { options, mode, report });
  } finally {
    await upload.close();
  }
}

/** Milliseconds that a submission which is under way gets after an interrupt. */
const submitPatience = 3000;

/** Aborts as `signal` does, but so many milliseconds later. */
function afterwards(signal: AbortSignal, milliseconds: number): AbortSignal {
  const later = new AbortController();
  const wait = (): unknown => setTimeout(() => later.abort(signal.reason), milliseconds).unref();
  if (signal.aborted) wait();
  else signal.addEventListener('abort', wait, { once: true });
  return later.signal;
}

/** The build lives without this process once the coordinator has all its files; interrupted before, it is cancelled. */
async function handOver(build: string, api: Api, signal: AbortSignal): Promise<void> {
  try {
    await api.complete(build, signal);
  } catch (error) {
    if (signal.aborted) await api.cancel(build, AbortSignal.timeout(submitPatience));
    throw error;
  }
}

/** Bytes of directory records that are sent along without being asked for. */
const maxUnasked = 128 * 1024;

/** Records of small trees, base64: asking for them would take longer than sending them. */
function smallTrees(snapshots: readonly Snapshot[]): string[] {
  const records = snapshots.flatMap(({ directories }) => [...directories.values()]);
  const bytes = records.reduce((sum, record) => sum + record.length, 0);
  return bytes <= maxUnasked && records.length <= 1000
    ? records.map((record) => record.toString('base64'))
    : [];
}

interface Trees {
  readonly context: Snapshot;
  readonly dockerfile: DockerfileTree;
  /** The one agent of a farm of our own is there already: nobody else will come. */
  readonly local: boolean;
}

function specOf(plan: BuildPlan, { context, dockerfile, local }: Trees): BuildSpec {
  const { context: source, dockerfile: _dockerfile, secrets, ssh, waitAgent, ...rest } = plan;
  return {
    ...rest,
    waitAgent: local ? 0 : waitAgent,
    secrets: secrets.map(({ id }) => id),
    ssh: ssh.map(({ id }) => id),
    context: {
      root: context.root,
      name: contextName(source),
      files: context.files,
      bytes: context.bytes,
    },
    dockerfile: { root: dockerfile.root, name: dockerfile.name },
  };
}

async function forwardSsh(plan: BuildPlan, build: string, { url, token }: FarmAccess): Promise<Disposable> {
  if (plan.ssh.length === 0) return { [Symbol.dispose]() {} };
  const { SshForward } = await import('./ssh-forward.ts');
  const forward = new SshForward({ coordinator: url, token, build, sources: plan.ssh });
  return { [Symbol.dispose]: () => forward.close() };
}

interface Following {
  readonly farm: FarmAccess;
  readonly secrets: Readonly<Record<string, string>>;
  readonly renderer: Renderer;
  /** An interrupt: the build is cancelled, and followed to that end. */
  readonly signal: AbortSignal;
}

async function follow(
  build: string,
  { farm, secrets, renderer, signal }: Following,
): Promise<{ result: BuildResult; report: FailureReport }> {
  const report = new FailureReport({ colours: wantsColours(process.stderr, process.env) });
  const ended = new AbortController();
  // Nothing is left to follow then, and to wait for a coordinator of our own would be to wait for ourselves.
  farm.failed.catch((error: unknown) => ended.abort(error));
  const cancelling = cancelOnInterrupt(build, { farm, renderer, signal, ended: ended.signal });
  try {
    const frames = followBuild(farm.api, build, {
      signal: ended.signal,
      onBreak: () => renderer.note('the coordinator is away; waiting for it'),
      // A coordinator that restarted has forgotten them.
      beforeRetry: async () => {
        if (Object.keys(secrets).length > 0)
          await farm.api.supplySecrets(build, { secrets, signal: ended.signal });
      },
    });
    for await (const frame of frames) {
      renderer.show(frame);
      report.show(frame);
      if (frame.type === 'result') return { result: frame.result, report };
    }
    throw new Error('unreachable: a followed build ends with its result');
  } finally {
    ended.abort();
    await cancelling;
  }
}

interface Cancelling extends Omit<Following, 'secrets'> {
  readonly ended: AbortSignal;
}

async function cancelOnInterrupt(
  build: string,
  { farm, renderer, signal, ended }: Cancelling,
): Promise<void> {
  try {
    if (!signal.aborted) await once(signal, 'abort', { signal: ended });
    renderer.note(
      farm.local
        ? 'cancelling; interrupt again to abort'
        : 'cancelling; interrupt again to leave it to the coordinator',
    );
    await farm.api.cancel(build, ended);
  } catch (error) {
    if (!ended.aborted) renderer.note(`could not cancel: ${String(error)}`);
  }
}

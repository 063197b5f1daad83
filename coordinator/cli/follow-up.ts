/** What `archfarm retry` and `archfarm amend` have in common: they submit a build that goes on from one, and follow it. */
import { randomBytes, randomUUID } from 'node:crypto';
import path from 'node:path';
import { Cleanup } from '../../shared/cleanup.ts';
import type { BuildResult } from '../../shared/progress.ts';
import { cacheDirectory } from '../cache-directory.ts';
import { scanAdditionalContexts } from '../context/additional-contexts.ts';
import { LaterSource } from '../context/later-source.ts';
import { openContext } from '../context/open-context.ts';
import type { Snapshot } from '../context/snapshot.ts';
import { resolvePlan } from '../project/resolve.ts';
import { afterwards, submitPatience } from './afterwards.ts';
import type { Api, Continuation } from './api.ts';
import type { BuildOptions } from './build-options.ts';
import { clientName } from './client-name.ts';
import { conclude } from './conclusion.ts';
import { ContextUpload } from './context-upload.ts';
import { followToEnd } from './follow-to-end.ts';
import type { CoordinatorAddress } from './global-options.ts';
import type { Interrupts } from './interrupts.ts';
import { sayLeft } from './left.ts';
import { createRenderer } from './progress/create-renderer.ts';
import { requireWritable } from './progress/metadata.ts';
import { readSecrets } from './secret-values.ts';
import { SshForward } from './ssh-forward.ts';

export interface FollowUpOptions {
  readonly build: BuildOptions;
  /** The context, if it is not where `archfarm build` would find it by the build's name. */
  readonly context?: string | undefined;
  readonly quiet: boolean;
}

export interface FollowUpAccess {
  readonly address: CoordinatorAddress;
  readonly api: Api;
  readonly interrupts: Pick<Interrupts, 'signal' | 'second'>;
  /** Gives the id of the new build. */
  readonly submit: (continuation: Continuation, signal: AbortSignal) => Promise<string>;
}

/** Gives the exit status: that of the new build. */
export async function runFollowUp(
  of: BuildResult,
  options: FollowUpOptions,
  { address, api, interrupts, submit }: FollowUpAccess,
): Promise<number> {
  const { progress, secrets: secretSources, ssh, metadataFile, iidfile } = options.build;
  for (const file of [metadataFile, iidfile]) if (file !== undefined) await requireWritable(file);
  const secrets = await readSecrets(secretSources, process.env);
  const mode = options.quiet ? 'quiet' : progress;
  using renderer = await createRenderer(mode, { screen: process.stderr, environment: process.env });
  await using scanned = new Cleanup();
  const { signal } = interrupts;
  const source = new LaterSource({
    of: of.build,
    scan: () => scan(of, options, { cleanup: scanned, signal }),
    pathOf: (build, digest) => api.pathOf(build, digest, signal),
  });
  const link = randomBytes(12).toString('base64url');
  const { url: coordinator, token, trust } = address;
  const upload = new ContextUpload({ coordinator, token, trust, link, source });
  let forward: SshForward | undefined;
  try {
    const continuation: Continuation = {
      secrets,
      ssh: ssh.map(({ id }) => id),
      link,
      client: clientName(),
      idempotencyKey: randomUUID(),
    };
    const build = await submit(continuation, afterwards(signal, submitPatience));
    upload.submitted(build);
    source.submitted(build);
    if (ssh.length > 0) forward = new SshForward({ coordinator, token, trust, build, sources: ssh });
    const farm = { api, local: false, failed: new Promise<never>(() => {}) };
    const followed = await followToEnd(build, { farm, secrets, renderer, interrupts });
    renderer[Symbol.dispose]();
    if (followed.type === 'left') return sayLeft(build);
    return await conclude(followed.result, { options: options.build, mode, report: followed.report });
  } finally {
    forward?.close();
    await upload.close();
  }
}

/** What `archfarm build` would read now, by the name that the build had or from where the user says. */
async function scan(
  { name, tags }: BuildResult,
  { build, context }: FollowUpOptions,
  { cleanup, signal }: { readonly cleanup: Cleanup; readonly signal: AbortSignal },
): Promise<readonly Snapshot[]> {
  const surroundings = { cwd: process.cwd(), environment: process.env };
  const target = context === undefined ? name : path.resolve(context);
  const { plan } = await resolvePlan(target, { ...build, tags }, surroundings);
  const scanning = {
    statCache: path.join(cacheDirectory(process.env), 'stat'),
    limits: build.contextLimits,
    signal,
  };
  const opened = await openContext(plan, scanning);
  cleanup.defer(() => opened[Symbol.asyncDispose]());
  const contexts = await scanAdditionalContexts(plan.contexts, scanning);
  return [
    opened.context,
    opened.dockerfile,
    ...opened.perPlatform.values(),
    ...contexts.map(({ tree }) => tree),
  ];
}

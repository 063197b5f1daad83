/** A published image, pulled and run as whoever deploys it would: does it run here? */
import { reasonOf, within } from '../../shared/abort.ts';
import { ArchfarmError, toErrorInfo, type ErrorCode } from '../../shared/errors.ts';
import { formatPlatform, normalizePlatform } from '../../shared/platform.ts';
import type { ProofOrder, ProofOutcome } from '../../shared/proof.ts';
import type { Connection } from './connection.ts';
import { troubleOf, type ContainerEnd, type ContainerRuns } from './container-run.ts';
import { inspectImage } from './image.ts';
import { OutputTail } from './output-tail.ts';
import { pullImage } from './pulled-image.ts';

export interface ProofRunOptions {
  readonly signal: AbortSignal;
  /** Milliseconds: see `Timers.up`. */
  readonly upAfter: number;
}

/** Milliseconds for a pull: an engine whose registry hangs would wait without end. */
const pullPatience = 30 * 60_000;

/** Another agent would find the same. */
const imageErrors: ReadonlySet<ErrorCode> = new Set(['verify-failed', 'wrong-architecture']);

/** The caller holds the lock of the reference. Rejects only with the signal's reason. */
export async function prove(
  { connection, runs }: { readonly connection: Connection; readonly runs: ContainerRuns },
  order: ProofOrder,
  options: ProofRunOptions,
): Promise<ProofOutcome> {
  const since = performance.now();
  const output = new OutputTail();
  const said = (): { output: string; duration: number } => ({
    output: output.text(),
    duration: Math.round(performance.now() - since),
  });
  try {
    const end = await pullAndRun({ connection, runs }, { ...order, ...options, output });
    const trouble = typeof end === 'string' ? end : troubleOf(end);
    if (trouble === undefined && typeof end !== 'string') {
      const manner = end.type === 'up' || end.type === 'healthy' ? end.type : 'exited';
      return { status: 'passed', manner, ...said() };
    }
    throw new ArchfarmError('verify-failed', `${named(order)} ${trouble}`, { hint: hintFor(order, trouble) });
  } catch (error) {
    if (options.signal.aborted) throw reasonOf(options.signal);
    const info = toErrorInfo(error, 'engine-error');
    const kind = imageErrors.has(info.code) ? 'image' : 'infrastructure';
    return { status: 'failed', kind, error: info, ...said() };
  }
}

interface Run extends ProofOrder, ProofRunOptions {
  readonly output: OutputTail;
}

/** Text says what is wrong with it. */
async function pullAndRun(
  { connection, runs }: { readonly connection: Connection; readonly runs: ContainerRuns },
  { signal, output, upAfter, command, network, timeout, ...pull }: Run,
): Promise<ContainerEnd | string> {
  const late = (): Error => new Error(`${pull.reference} was not pulled within ${pullPatience / 60_000} min`);
  await using image = await within(pullPatience, { signal, late }, (limited) =>
    pullImage(connection, pull, limited),
  );
  const { imageId } = image;
  await requirePlatform(connection, { imageId, ...pull, signal });
  const limit = AbortSignal.timeout(timeout);
  try {
    return await runs.run(
      { imageId, command, network, upAfter, until: Date.now() + timeout },
      { signal: AbortSignal.any([signal, limit]), onOutput: ({ bytes }) => output.push(bytes) },
    );
  } catch (error) {
    if (signal.aborted || !limit.aborted) throw error;
    const state = command === undefined ? 'did not show that it runs' : 'was not over';
    return `${state} within ${timeout / 1000} s`;
  }
}

/** A single image is what an engine gets, whatever platform it asked for. */
async function requirePlatform(
  connection: Connection,
  {
    imageId,
    reference,
    platform,
    signal,
  }: Pick<Run, 'reference' | 'platform' | 'signal'> & {
    readonly imageId: Parameters<typeof inspectImage>[1]['imageId'];
  },
): Promise<void> {
  const { os, architecture, variant } = await inspectImage(connection, { imageId, signal });
  const found = formatPlatform(normalizePlatform({ os, architecture, ...(variant ? { variant } : {}) }));
  if (found === platform) return;
  throw new ArchfarmError(
    'wrong-architecture',
    `${reference} gives ${found} where ${platform} was asked for`,
  );
}

function named({ command, platform }: ProofOrder): string {
  return command === undefined ? `the image for ${platform}` : `the command on ${platform}`;
}

function hintFor({ network, command }: ProofOrder, trouble = ''): string | undefined {
  if (trouble.includes(' within '))
    return 'give it longer with --verify-timeout (archfarm verify: --timeout)';
  if (trouble.startsWith('could not be started') && command?.[0] === '/bin/sh') {
    return 'an image without a shell takes a list in the project file: verify: ["/app", "--version"]';
  }
  if (command === undefined && /^(ended|could not be started)/.test(trouble)) {
    return 'what it is to run instead can be given with --verify-run (archfarm verify: --run)';
  }
  return network ? undefined : 'it has a network only with --verify-network (archfarm verify: --network)';
}

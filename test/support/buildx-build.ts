/** What `docker buildx build` makes of a directory: the judge of what contexts mean. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { buildx } from '../../scripts/rig/buildx.ts';

const run = promisify(execFile);

export interface BuildxOptions {
  /** Its engine, as DOCKER_HOST takes it. */
  readonly engine: string;
  /** A directory for what it remembers. */
  readonly state: string;
  /** Path of the Dockerfile, if it is not `Dockerfile` in the context. */
  readonly file?: string;
}

export type BuildxOutcome = { readonly image: string } | { readonly refused: string };

/** The image's id, or why there is none. Without the cache, since the engine would hand back another's layer. */
export async function buildxImage(context: string, options: BuildxOptions): Promise<BuildxOutcome> {
  return await tryBuildx(context, options).catch((error: unknown) => {
    // Of builds at the same time BuildKit cancels one now and then that nobody cancelled (docker/buildx#369).
    if (/failed to solve: context canceled/.test(String(error))) return tryBuildx(context, options);
    throw error;
  });
}

async function tryBuildx(context: string, { engine, state, file }: BuildxOptions): Promise<BuildxOutcome> {
  const env = { ...process.env, DOCKER_HOST: engine, DOCKER_CONFIG: state, BUILDX_CONFIG: state };
  const flags = ['--no-cache', '--quiet', ...(file === undefined ? [] : ['--file', file])];
  try {
    const { stdout } = await run(await buildx(), ['build', ...flags, context], { env });
    return { image: stdout.trim() };
  } catch (error) {
    const refused = String(error);
    // Anything else is a fault of the test, or of the machine.
    if (/excludepatterns/.test(refused)) return { refused };
    throw error;
  }
}

/** Makes the trees of a build of whatever its context is, and keeps what they need until the build is over. */
import { createReadStream } from 'node:fs';
import { Cleanup } from '../../shared/cleanup.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { defaultLimits, type ContextLimits } from '../../shared/context/limits.ts';
import { Matcher, parseIgnoreFile } from '../../shared/context/ignore.ts';
import { describeContext } from '../project/context-source.ts';
import type { BuildPlan, DockerfileSource } from '../project/spec.ts';
import { dockerfileTree, type DockerfileContext, type DockerfileTree } from './dockerfile.ts';
import { checkOut } from './git-checkout.ts';
import { scanContext } from './scan.ts';
import type { Snapshot } from './snapshot.ts';
import { readTar } from './tar-context.ts';
import { readDockerfile, readStdin } from './stdin.ts';
import { TreeWriter } from './tree-writer.ts';
import { ignoreFile } from './walk.ts';

export interface OpenedContext extends AsyncDisposable {
  readonly context: Snapshot;
  readonly dockerfile: DockerfileTree;
  /** Of the platforms that have one of their own. */
  readonly perPlatform: ReadonlyMap<string, DockerfileTree>;
}

export interface OpenOptions {
  readonly statCache: string;
  readonly limits?: ContextLimits | undefined;
  readonly signal: AbortSignal;
  /** That of the process, where nothing else is given. */
  readonly stdin?: AsyncIterable<Buffer>;
}

type Sources = Pick<BuildPlan, 'context' | 'dockerfile' | 'perPlatform'>;

/** What is left out of the context is decided beside its main Dockerfile, for all platforms. */
export async function openContext(sources: Sources, options: OpenOptions): Promise<OpenedContext> {
  const cleanup = new Cleanup();
  try {
    const trees = await open(sources, cleanup, options);
    return { ...trees, [Symbol.asyncDispose]: () => cleanup[Symbol.asyncDispose]() };
  } catch (error) {
    await cleanup[Symbol.asyncDispose]();
    throw error;
  }
}

async function open(
  { context: source, dockerfile: given, perPlatform }: Sources,
  cleanup: Cleanup,
  { statCache, limits, signal, stdin = process.stdin }: OpenOptions,
): Promise<Omit<OpenedContext, typeof Symbol.asyncDispose>> {
  const dockerfile: DockerfileSource =
    given.type === 'stdin' ? { type: 'inline', text: await readDockerfile(stdin, signal) } : given;
  switch (source.type) {
    case 'directory': {
      const trees = await dockerfileTrees({ dockerfile, perPlatform });
      const path = dockerfile.type === 'file' ? dockerfile.path : undefined;
      return {
        context: await scanContext(source.path, { dockerfile: path, statCache, limits, signal }),
        ...trees,
      };
    }
    case 'git': {
      const checkout = await checkOut(source, signal);
      cleanup.defer(() => checkout[Symbol.asyncDispose]());
      const files = { read: (name: string) => checkout.read(name), of: describeContext(source) };
      const trees = await dockerfileTrees({ dockerfile, perPlatform }, files);
      const matcher = await ignoreRules(dockerfile, files);
      return { context: await scanContext(checkout.path, { matcher, limits, signal }), ...trees };
    }
    case 'tar': {
      const name = describeContext(source);
      const input =
        source.path === undefined
          ? await readStdin(stdin, signal)
          : { archive: createReadStream(source.path) };
      if ('dockerfile' in input) {
        const trees = await dockerfileTrees({
          dockerfile: onStdin(input.dockerfile, dockerfile),
          perPlatform,
        });
        return { context: nothing(limits), ...trees };
      }
      const tar = await readTar(input.archive, { name, limits, signal });
      cleanup.defer(() => tar[Symbol.asyncDispose]());
      const files = { read: (path: string) => tar.read(path), of: name };
      const trees = await dockerfileTrees({ dockerfile, perPlatform }, files);
      return { context: tar.snapshot(await ignoreRules(dockerfile, files)), ...trees };
    }
    default:
      return source satisfies never;
  }
}

function onStdin(text: string, named: DockerfileSource): DockerfileSource {
  if (named.type !== 'context' || named.path === 'Dockerfile') return { type: 'inline', text };
  throw new ArchfarmError(
    'usage',
    `the standard input is a Dockerfile, and so is what -f names: ${named.path}`,
    { hint: 'give a tar archive to find that in, or leave -f out' },
  );
}

/** The context of a Dockerfile that came alone. */
function nothing(limits = defaultLimits): Snapshot {
  const tree = new TreeWriter(limits).finish(({ path }) => {
    throw new RangeError(`there is no file ${path}`);
  });
  return { ...tree, recipes: new Map(), warnings: [] };
}

async function dockerfileTrees(
  { dockerfile, perPlatform }: Pick<Sources, 'perPlatform'> & { readonly dockerfile: DockerfileSource },
  context?: DockerfileContext,
): Promise<Pick<OpenedContext, 'dockerfile' | 'perPlatform'>> {
  const own = new Map<string, DockerfileTree>();
  for (const [platform, override] of Object.entries(perPlatform)) {
    if (override.dockerfile !== undefined) {
      own.set(platform, await dockerfileTree(override.dockerfile, context));
    }
  }
  return { dockerfile: await dockerfileTree(dockerfile, context), perPlatform: own };
}

async function ignoreRules(dockerfile: DockerfileSource, context: DockerfileContext): Promise<Matcher> {
  const own = dockerfile.type === 'context' ? [`${dockerfile.path}${ignoreFile}`] : [];
  for (const path of [...own, ignoreFile]) {
    const rules = await context.read(path);
    if (rules !== undefined) {
      return parseIgnoreFile(rules.content.toString(), { name: `${path} in ${context.of}` });
    }
  }
  return new Matcher([]);
}

/**
 * Contexts that a Dockerfile refers to by name. Each becomes an image of the engine that holds its tree and nothing
 * else, and a stage that begins with that image: the build API takes one context alone, and whatever is put into that,
 * every `COPY . /` of it would see.
 */
import { ArchfarmError } from '../../shared/errors.ts';
import type { Selection } from '../../shared/context/select.ts';
import type { ContextSource } from '../../shared/context/tree.ts';
import type { TaskEvent } from '../../shared/progress.ts';
import type { NamedContext, Task } from '../../shared/task.ts';
import { addStages, type StagedDockerfile } from './added-stages.ts';
import type { Connection } from './connection.ts';
import { contextImageNames, removeImageNames, removeOldImageNames } from './context-image-names.ts';
import { readDockerfile } from './dockerfile-text.ts';
import { overlayFile, type Overlay } from './file-overlay.ts';
import { buildInSession, type SessionBuild } from './session-build.ts';

export interface NamedContexts extends AsyncDisposable {
  /** The Dockerfile with the stages. */
  readonly dockerfile: Overlay;
  readonly target: string | undefined;
  readonly inUsersTerms: StagedDockerfile['inUsersTerms'];
}

export type NamedContextOptions = Pick<
  SessionBuild,
  'services' | 'mtimes' | 'signal' | 'mask' | 'onEvent' | 'onSign' | 'onBytes' | 'onSelection'
> & { readonly source: ContextSource };

const nothing: Selection = { followPaths: [], includePatterns: [], excludePatterns: ['**'] };

/** Disposing of it takes the images' names away; the engine's build cache keeps what they hold. */
export async function provideContexts(
  connection: Connection,
  task: Task,
  options: NamedContextOptions,
): Promise<NamedContexts> {
  const { source, signal, onSelection } = options;
  const { root, name } = task.dockerfile;
  const dockerfile = await readDockerfile(source, { root, name, signal });
  // A FROM may take its name from an argument.
  const texts = [dockerfile, ...Object.values(task.args)].map((text) => text.toLowerCase());
  const isMentioned = (context: NamedContext): boolean => texts.some((text) => text.includes(context.name));
  const used = task.contexts.filter(isMentioned);
  for (const context of task.contexts) {
    if (!isMentioned(context) && context.root !== task.context.root) onSelection?.(context.root, nothing);
  }
  const images = contextImageNames(used.length);
  const remove = (): Promise<void> => removeImageNames(connection, images);
  try {
    await removeOldImageNames(connection, signal);
    const named = used.map((context, index) => ({ context, image: images[index] ?? '' }));
    const making = await Promise.allSettled(
      named.map(({ context, image }) => makeImage(connection, task, { ...options, context, image })),
    );
    for (const made of making) if (made.status === 'rejected') throw made.reason;
    const stages = named.map(({ context, image }) => ({ name: context.name, image }));
    const { text, target, inUsersTerms } = addStages(dockerfile, { stages, target: task.target });
    const overlay = await overlayFile(source, { root, name, content: Buffer.from(text), signal });
    return { dockerfile: overlay, target, inUsersTerms, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

interface ImageOptions extends NamedContextOptions {
  readonly context: NamedContext;
  readonly image: string;
}

/** The root is copied as a whole, so that a stage sees what a context of that name would have shown it. */
async function makeImage(connection: Connection, task: Task, options: ImageOptions): Promise<void> {
  const { context, image, onSelection, onEvent, signal } = options;
  const content = Buffer.from('FROM scratch\nCOPY . /\n');
  const { root, source } = await overlayFile(options.source, { name: 'Dockerfile', content, signal });
  try {
    await buildInSession(connection, {
      ...options,
      source,
      trees: { context, dockerfile: { root } },
      contextKey: `${task.contextKey}\0${context.name}`,
      platform: task.platform,
      secrets: [],
      ssh: [],
      query: { dockerfile: 'Dockerfile', t: image, ...(task.noCache ? { nocache: '1' } : {}) },
      onEvent(event) {
        const told = ofContext(event, context.name);
        if (told !== undefined) onEvent(told);
      },
      onSelection(tree, selection) {
        if (tree === context.root) onSelection?.(tree, selection);
      },
    });
  } catch (error) {
    if (!(error instanceof ArchfarmError)) throw error;
    const { code, message, hint } = error;
    throw new ArchfarmError(code, `additional context ${context.name}: ${message}`, { hint, cause: error });
  }
}

/** Of how the image is made only the transfer is news to whoever wrote the Dockerfile. */
function ofContext(event: TaskEvent, name: string): TaskEvent | undefined {
  if (event.type === 'warning') return event;
  if (event.type !== 'step' || !event.name.endsWith('load build context')) return undefined;
  return { ...event, name: `[context ${name}] load from client` };
}

/** What may be given as a context: a directory, a tar archive, or a git repository. */
import path from 'node:path';
import { ArchfarmError } from '../../shared/errors.ts';

export type ContextSource =
  | { readonly type: 'directory'; /** Absolute. */ readonly path: string }
  | {
      readonly type: 'tar';
      /** Absolute; undefined for the standard input. */ readonly path?: string | undefined;
    }
  | GitSource;

export interface GitSource {
  readonly type: 'git';
  readonly url: string;
  /** Branch, tag or commit; undefined for the default branch. */
  readonly ref?: string | undefined;
  /** From the root of the repository. */
  readonly subdirectory?: string | undefined;
}

const schemes = /^(?:https?|ssh|git|file):\/\/./i;
const secureShell = /^[\w.-]+@[\w.-]+:[^-]./;

/** `URL[#REF[:SUBDIRECTORY]]` as docker takes it; undefined for what is no URL. Throws `usage` for a bad fragment. */
export function parseGitSource(text: string): GitSource | undefined {
  const complete = text.startsWith('github.com/') ? `https://${text}` : text;
  if (!schemes.test(complete) && !secureShell.test(complete)) return undefined;
  const [, url = '', fragment = ''] = /^([^#]*)#?(.*)$/s.exec(complete) ?? [];
  const [, ref = '', subdirectory = ''] = /^([^:]*):?(.*)$/s.exec(fragment) ?? [];
  if (ref.startsWith('-') || /[\s~^?*[\\]|\.\./.test(ref)) {
    throw new ArchfarmError(
      'usage',
      `invalid git reference ${JSON.stringify(ref)} in ${withoutPassword(text)}`,
      {
        hint: 'the form is URL#BRANCH, URL#TAG or URL#COMMIT, each with :DIRECTORY after it',
      },
    );
  }
  if (subdirectory.split('/').includes('..')) {
    throw new ArchfarmError('usage', `the directory ${subdirectory} is outside of ${withoutPassword(url)}`);
  }
  return {
    type: 'git',
    // Git knows schemes in small letters alone.
    url: url.replace(/^\w+(?=:\/\/)/, (scheme) => scheme.toLowerCase()),
    ref: ref === '' ? undefined : ref,
    subdirectory: subdirectory === '' ? undefined : subdirectory,
  };
}

/** For messages: a URL may carry credentials. */
function withoutPassword(url: string): string {
  return url.replace(/^(\w+:\/\/)[^/@]*@/, '$1');
}

/** What it is called: the last part of a path; `context` where that is empty. */
export function contextName(source: ContextSource): string {
  return lastPart(source) || 'context';
}

function lastPart(source: ContextSource): string {
  switch (source.type) {
    case 'directory':
      return path.basename(source.path);
    case 'tar':
      return source.path === undefined
        ? 'stdin'
        : path.basename(source.path).replace(/\.(tar(\.gz)?|tgz)$/, '');
    case 'git':
      // `.git` ends the name of a repository, or is the folder of one inside its checkout.
      return path.posix.basename(
        source.subdirectory ?? source.url.replace(/:/g, '/').replace(/\/?\.git\/?$/, ''),
      );
    default:
      return source satisfies never;
  }
}

export function describeContext(source: ContextSource): string {
  switch (source.type) {
    case 'directory':
      return source.path;
    case 'tar':
      return source.path ?? 'the standard input';
    case 'git':
      return `${withoutPassword(source.url)}${source.ref === undefined ? '' : `#${source.ref}`}`;
    default:
      return source satisfies never;
  }
}

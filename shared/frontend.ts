/**
 * The images that an engine may hand a Dockerfile to, where its text or an argument names any: a frontend is a program
 * that decides what is built. Versions of BuildKit differ in which they take, so none is missed that some version would.
 */
import { directivesOf } from './directive.ts';
import { parseReference } from './reference.ts';

/** Goes before what the text says; BuildKit of before Docker 20.10 does not know it. */
const argument = 'BUILDKIT_SYNTAX';

/** As written, with their tags; none where every engine uses its own. */
export function frontendsOf(dockerfile: string, args: Readonly<Record<string, string>>): string[] {
  return unique([frontendInArguments(args), ...frontendsIn(dockerfile)]);
}

export function frontendInArguments(args: Readonly<Record<string, string>>): string | undefined {
  return firstWord(args[argument]);
}

/** What the first lines name by `# syntax=`, or for newer engines by `// syntax=` or as JSON. */
export function frontendsIn(dockerfile: string): string[] {
  const text = dockerfile.replace(/^\uFEFF/, '').replace(/^#![^\n]*(?:\n|$)/, '');
  return unique([...directivesOf(text, 'syntax'), ...syntaxesInJson(text)].map(firstWord));
}

/** Docker's own: nobody else can push to that namespace. */
export function isDockersOwn(frontend: string): boolean {
  return /^docker\.io\/docker\/dockerfile(?:-[a-z0-9._-]+)?$/.test(repositoryOf(frontend));
}

/** `ghcr.io/acme/` stands for all of that namespace, `ghcr.io/acme/front` for that repository. */
export function isBelow(frontend: string, prefix: string): boolean {
  const wanted = withRegistry(prefix);
  const repository = repositoryOf(frontend);
  return wanted.endsWith('/') ? repository.startsWith(wanted) : repository === wanted;
}

function syntaxesInJson(text: string): string[] {
  if (!/^\s*\{/.test(text)) return [];
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== 'object' || parsed === null) return [];
    // Go takes a key as it is or in any case, after what it is read into; in capitals, a long s is an S.
    return Object.entries(parsed).flatMap(([key, value]: [string, unknown]) =>
      key.toUpperCase() === 'SYNTAX' && typeof value === 'string' ? [value] : [],
    );
  } catch {
    return [];
  }
}

function unique(frontends: readonly (string | undefined)[]): string[] {
  return [...new Set(frontends.filter((frontend) => frontend !== undefined))];
}

/** What follows the image are its arguments. */
function firstWord(text: string | undefined): string | undefined {
  return text?.trim().split(/\s+/)[0] || undefined;
}

function repositoryOf(frontend: string): string {
  try {
    const { registry, repository } = parseReference(frontend);
    return `${registry}/${repository}`;
  } catch {
    return frontend;
  }
}

/** Of Docker Hub where the first part names no host. */
function withRegistry(prefix: string): string {
  const [first = '', ...rest] = prefix.split('/');
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  return isHost ? prefix : `docker.io/${prefix}`;
}

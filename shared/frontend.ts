/**
 * The image that an engine hands a Dockerfile to, where its text or an argument names one: a frontend is a program that
 * decides what is built. Read as BuildKit of any version would, so that none is missed.
 */
import { directiveOf } from './directive.ts';
import { parseReference } from './reference.ts';

/** Goes before what the text says. */
const argument = 'BUILDKIT_SYNTAX';

/** As written, with its tag; undefined where the engine's own is used. */
export function frontendOf(dockerfile: string, args: Readonly<Record<string, string>>): string | undefined {
  return frontendInArguments(args) ?? syntaxOf(dockerfile);
}

export function frontendInArguments(args: Readonly<Record<string, string>>): string | undefined {
  return firstWord(args[argument]);
}

/** What the first lines name by `# syntax=`, or newer engines by `// syntax=` or as JSON. */
export function syntaxOf(dockerfile: string): string | undefined {
  const text = dockerfile.replace(/^\uFEFF/, '').replace(/^#!.*(?:\r?\n|$)/, '');
  const named = directiveOf(text, { name: 'syntax' }) ?? directiveOf(text, { name: 'syntax', comment: '//' });
  return firstWord(named) ?? syntaxInJson(text);
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

function syntaxInJson(text: string): string | undefined {
  if (!/^\s*\{/.test(text)) return undefined;
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== 'object' || parsed === null) return undefined;
    // As Go reads it: in any case.
    const value = Object.entries(parsed).find(([key]) => key.toLowerCase() === 'syntax')?.[1] as unknown;
    return typeof value === 'string' ? firstWord(value) : undefined;
  } catch {
    return undefined;
  }
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

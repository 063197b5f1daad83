/** Parts of registries that somebody may publish to: a registry, a namespace in it, or one repository. */
import { ArchfarmError } from '../../shared/errors.ts';
import { parseReference, type Reference } from '../../shared/reference.ts';
import { hostKey, repositoryKey } from '../registry/spelling.ts';

/** In full and without a slash at the end, as `registry.lab:5000/onap`. Throws `usage` for what no name begins with. */
export function parseRepositoryPrefix(text: string): string {
  const bare = text.replace(/\/+$/, '');
  if (bare === 'docker.io' || bare === 'index.docker.io') return 'docker.io';
  const { registry, repository } = below(bare, text);
  return `${registry}/${repository}`.replace(/\/x$/, '');
}

/**
 * Whether one of these covers the repository of a reference, however its registry is spelled. By whole components:
 * `lab/onap` covers no `lab/onap-other`.
 */
export function isCovered(reference: string, prefixes: readonly string[]): boolean {
  const name = repositoryKey(reference);
  return prefixes.map(prefixKey).some((prefix) => name === prefix || name.startsWith(`${prefix}/`));
}

function prefixKey(prefix: string): string {
  const [host = '', ...path] = prefix.split('/');
  return [hostKey(host), ...path].join('/');
}

/** A repository there, since a registry alone is no reference. */
function below(prefix: string, text: string): Reference {
  try {
    return parseReference(`${prefix}/x`);
  } catch (cause) {
    throw new ArchfarmError('usage', `${JSON.stringify(text)} is no beginning of an image's name`, {
      hint: 'the form is HOST[:PORT][/NAMESPACE[/NAME]], like registry.lab:5000/onap',
      cause,
    });
  }
}

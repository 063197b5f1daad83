/** A registry has many spellings, `Registry.lab:443` and `registry.lab` being one: what names are compared by. */
import { formatReference, parseReference, withDefaultTag, type Reference } from '../../shared/reference.ts';
import { dockerHub, isLoopbackName, referenceHost } from './endpoint.ts';

/** The same for every spelling of a tag. Throws `usage` for what is no reference. */
export function tagKey(text: string): string {
  return formatReference(withDefaultTag(spelled(parseReference(text))));
}

/** `host/onap/py-app`: the same for every spelling of the registry. Throws `usage` for what is no reference. */
export function repositoryKey(text: string): string {
  const { registry, repository } = spelled(parseReference(text));
  return formatReference({ registry, repository });
}

/** In lower case and without the port that it has anyway. */
export function hostKey(host: string): string {
  const known = keys.get(host);
  if (known !== undefined) return known;
  const url = `${isLoopbackName(host) ? 'http' : 'https'}://${host}`;
  // A port that is none is nobody's.
  const key = referenceHost(URL.canParse(url) ? new URL(url).host : host.toLowerCase());
  if (keys.size >= maxKeys) keys.clear();
  keys.set(host, key);
  return key;
}

/** Few hosts are named often: by every build that waits, at every look. */
const keys = new Map<string, string>();
const maxKeys = 1000;

function spelled(reference: Reference): Reference {
  const registry = hostKey(reference.registry);
  const { repository } = reference;
  const isImplied = registry === dockerHub.host && !repository.includes('/');
  return { ...reference, registry, repository: isImplied ? `library/${repository}` : repository };
}

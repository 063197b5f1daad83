/** Image references, `registry/repository:tag@digest`, after the grammar of distribution/reference. */
import { ArchfarmError } from './errors.ts';

export interface Reference {
  /** Host and port as the user wrote them; `docker.io` where none was written. */
  readonly registry: string;
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: string;
}

const label = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const host = String.raw`(?:${label}(?:\.${label})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?`;
const component = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const grammar = new RegExp(
  String.raw`^(?:(${host})/)?(${component}(?:/${component})*)(?::(\w[\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))?$`,
);
const digestGrammar = /^sha256:[0-9a-f]{64}$/;

/** Repository names above this are refused by registries (distribution: total length of the name). */
const maxNameLength = 255;
const maxPort = 65_535;
/** Longer than any name with a tag and a digest: what is beyond is not looked at. */
const maxTextLength = 1024;

/** Throws `usage` naming the text and what is wrong with it. Adds neither tag nor digest. */
export function parseReference(text: string): Reference {
  if (text.length > maxTextLength) {
    throw new ArchfarmError(
      'usage',
      `an image reference of ${text.length} characters, which begins ${JSON.stringify(text.slice(0, 64))}`,
    );
  }
  const match = grammar.exec(text);
  if (match === null) throw invalidReference(text);
  const [, domain, path = '', tag, digest] = match;
  const isHost =
    domain !== undefined && (/[.:[]/.test(domain) || domain === 'localhost' || /[A-Z]/.test(domain));
  if (domain !== undefined && !isHost && !new RegExp(`^${component}$`).test(domain))
    throw invalidReference(text);
  const port = isHost ? /:([0-9]+)$/.exec(domain)?.[1] : undefined;
  if (Number(port ?? 0) > maxPort) {
    throw new ArchfarmError(
      'usage',
      `invalid image reference ${JSON.stringify(text)}: there is no port ${port}`,
      { hint: `the highest port is ${maxPort}` },
    );
  }
  const registry = isHost && domain !== 'index.docker.io' ? domain : 'docker.io';
  const bare = domain === undefined || isHost ? path : `${domain}/${path}`;
  const repository = registry === 'docker.io' && !bare.includes('/') ? `library/${bare}` : bare;
  if (`${registry}/${repository}`.length > maxNameLength) {
    throw new ArchfarmError(
      'usage',
      `image name ${JSON.stringify(text)} is longer than ${maxNameLength} characters`,
    );
  }
  return {
    registry,
    repository,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

function invalidReference(text: string): ArchfarmError {
  const scheme = /^\w+:\/\//.exec(text)?.[0];
  if (scheme !== undefined) {
    const hint = `it is no URL: leave out ${scheme}`;
    return new ArchfarmError('usage', `invalid image reference ${JSON.stringify(text)}`, { hint });
  }
  const name = text.replace(/@.*$/, '').replace(/:[^/]*$/, '');
  const hint = /[A-Z]/.test(name.replace(/^[^/]*[.:][^/]*\//, ''))
    ? 'repository names are lower case'
    : 'the form is [HOST[:PORT]/]NAME[:TAG][@sha256:DIGEST]';
  return new ArchfarmError('usage', `invalid image reference ${JSON.stringify(text)}`, { hint });
}

/** `registry/repository[:tag][@digest]`, always with the registry. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
  return `${reference.registry}/${reference.repository}${tag}${digest}`;
}

/** A reference that names something: `latest` where neither tag nor digest was written. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined
    ? { ...reference, tag: 'latest' }
    : reference;
}

/** Where a platform image goes: suffix on the repository (`py-app-arm64v8:1.0`) or on the tag (`py-app:1.0-arm64v8`). */
export function suffixedReference(reference: Reference, suffix: string, where: 'repo' | 'tag'): Reference {
  const { registry, repository, tag = 'latest' } = reference;
  const suffixed =
    where === 'repo'
      ? { registry, repository: `${repository}-${suffix}`, tag }
      : { registry, repository, tag: `${tag}-${suffix}` };
  // The suffix can push a legal name over the limit, so the result goes through the grammar again.
  return parseReference(formatReference(suffixed));
}

export function isDigest(text: string): boolean {
  return digestGrammar.test(text);
}

/**
 * Who this host is to its farm, as `join` wrote it into the data directory: the coordinator and a name, how the
 * coordinator is known, and a certificate with its key, which never leaves this host.
 */
import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import * as v from 'valibot';
import { ArchfarmError, messageOf, systemCode } from '../shared/errors.ts';
import { writeOwned } from './owned-files.ts';

const schema = v.object({
  coordinator: v.string(),
  name: v.string(),
  /** None: whatever the engine can. */
  platforms: v.array(v.string()),
});

export type IdentityFacts = v.InferOutput<typeof schema>;

export interface Identity extends IdentityFacts {
  /** File of the authorities that vouch for the coordinator; those of the system where undefined. */
  readonly ca: string | undefined;
  readonly files: CertificateFiles;
}

/** PEM; one file may hold both. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

interface Paths {
  readonly facts: string;
  readonly ca: string;
  /** Key and certificate together, so that nobody ever sees one without the other. */
  readonly certificate: string;
}

export function identityPaths(data: string): Paths {
  const at = (name: string): string => join(data, 'identity', name);
  return { facts: at('agent.json'), ca: at('ca.crt'), certificate: at('agent.pem') };
}

/** Undefined where this host has joined nothing. Throws `config` for files that cannot be used. */
export function readIdentity(data: string): Identity | undefined {
  const paths = identityPaths(data);
  const text = readIfThere(paths.facts);
  if (text === undefined) return undefined;
  const facts = v.safeParse(v.pipe(v.string(), v.parseJson(), schema), text);
  if (!facts.success || readIfThere(paths.certificate) === undefined) {
    throw new ArchfarmError('config', `the identity in ${dirname(paths.facts)} is not complete`, {
      hint: 'let this host join again: archfarm agents add prints how',
    });
  }
  const files = { certificate: paths.certificate, key: paths.certificate };
  return { ...facts.output, ca: readIfThere(paths.ca) === undefined ? undefined : paths.ca, files };
}

export interface NewIdentity {
  readonly facts: IdentityFacts;
  /** PEM of the authority that vouches for the coordinator; undefined for those of the system. */
  readonly ca: string | undefined;
  /** PEM of key and certificate. */
  readonly certificate: string;
}

/** So that nothing is in the way of `writeIdentity`. Throws `config`. */
export function makeIdentityDirectory(data: string): Promise<void> {
  return write(data, []);
}

/** Over one that may be there. What it is known by comes last. Throws `config`. */
export function writeIdentity(data: string, { facts, ca, certificate }: NewIdentity): Promise<void> {
  const paths = identityPaths(data);
  return write(data, [
    [paths.certificate, certificate],
    [paths.ca, ca ?? ''],
    [paths.facts, `${JSON.stringify(facts, undefined, 2)}\n`],
  ]);
}

/** Key and certificate, in place of those before. Throws `config`. */
export function writeCertificate(data: string, text: string): Promise<void> {
  return write(data, [[identityPaths(data).certificate, text]]);
}

function write(data: string, files: readonly (readonly [path: string, text: string])[]): Promise<void> {
  return writeOwned(
    dirname(identityPaths(data).facts),
    files.map(([path, text]) => ({ name: basename(path), text })),
  );
}

/** Undefined also for an empty file. */
function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8') || undefined;
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT' || systemCode(cause) === 'ENOTDIR') return undefined;
    throw new ArchfarmError('config', `cannot read ${path}: ${messageOf(cause)}`, {
      hint: 'is this the user that the agent runs as?',
      cause,
    });
  }
}

/** What newer engines push beside an image: who built it from what. */
import { ArchfarmError } from '../../shared/errors.ts';
import type { Attestation } from '../farm/events.ts';
import type { AttestationMode } from '../project/annotations.ts';
import type { Registries } from '../registry/registries.ts';
import type { Repository } from '../registry/repository.ts';
import { isAttestation, parseImage, type ListDocument, type ListEntry } from './document.ts';
import { isForeignLayer } from './media-types.ts';
import { together } from './together.ts';

export interface AttestationContext {
  /** Of the image they are to be about. */
  readonly subject: string;
  readonly mode: AttestationMode;
  readonly repository: Repository;
  readonly registries: Registries;
}

const aboutKey = 'vnd.docker.reference.digest';
const typeKey = 'vnd.docker.reference.type';

/** Those of the pushed list that are about the image. Throws `attestation-refused` where there may be none. */
export async function attestationsOf(
  { manifests }: ListDocument,
  { subject, mode, repository, registries }: AttestationContext,
  signal: AbortSignal,
): Promise<readonly Attestation[]> {
  const entries = manifests.filter((entry) => isAttestation(entry) && isAbout(entry, subject));
  if (mode === 'strip' || entries.length === 0) return [];
  if (mode === 'error') {
    throw new ArchfarmError(
      'attestation-refused',
      `${repository.reference(subject)} was pushed with ${entries.length > 1 ? `${entries.length} attestations` : 'an attestation'}`,
      { hint: 'turn them off at the engine, or publish with --attestations keep or strip' },
    );
  }
  return together(
    entries,
    async ({ digest, size, mediaType, annotations }, signal) => {
      const manifest = await registries.manifest(repository, digest, signal);
      const name = repository.reference(digest);
      if (manifest.bytes.length !== size || manifest.mediaType !== mediaType) {
        throw new ArchfarmError('registry-error', `the list of ${name} describes it as what it is not`);
      }
      const { config, layers } = parseImage(manifest, name);
      const blobs = [config, ...layers.filter((layer) => !isForeignLayer(layer.mediaType))];
      return {
        descriptor: { mediaType, digest, size },
        // Readers know it by these two.
        annotations: {
          ...annotations,
          [typeKey]: annotations?.[typeKey] ?? 'attestation-manifest',
          [aboutKey]: subject,
        },
        blobs: uniqueBlobs(blobs),
      };
    },
    signal,
  );
}

/** One that does not say is about the only image there is. */
function isAbout(entry: ListEntry, subject: string): boolean {
  return (entry.annotations?.[aboutKey] ?? subject) === subject;
}

function uniqueBlobs(
  blobs: readonly { readonly mediaType: string; readonly digest: string; readonly size: number }[],
): Attestation['blobs'] {
  const described = blobs.map(
    ({ mediaType, digest, size }) => [digest, { mediaType, digest, size }] as const,
  );
  return [...new Map(described).values()];
}

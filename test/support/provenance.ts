/** What an engine with the containerd image store pushes: an index of one image and the provenance beside it. */
import type { PushedImage } from '../../shared/task.ts';
import {
  digestOf,
  pushBlob,
  pushDocument,
  pushSample,
  type SampleImage,
  type SampleTarget,
} from './sample-image.ts';

export const ociIndexType = 'application/vnd.oci.image.index.v1+json';
const ociManifestType = 'application/vnd.oci.image.manifest.v1+json';

export interface ProvenImage {
  readonly image: SampleImage;
  readonly attestation: { readonly digest: string; readonly blobs: readonly string[] };
  /** As an agent would report it. */
  readonly reported: PushedImage;
}

export async function pushWithProvenance(
  target: SampleTarget,
  platform: { os: string; architecture: string },
): Promise<ProvenImage> {
  const image = await pushSample(target, { platform, type: 'oci' });
  const config = Buffer.from('{"architecture":"unknown","os":"unknown","config":{}}');
  const statement = Buffer.from(
    JSON.stringify({ _type: 'https://in-toto.io/Statement/v0.1', subject: image.digest }),
  );
  for (const blob of [config, statement]) await pushBlob(target, blob);
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: ociManifestType,
      config: {
        mediaType: 'application/vnd.oci.image.config.v1+json',
        digest: digestOf(config),
        size: config.length,
      },
      layers: [
        {
          mediaType: 'application/vnd.in-toto+json',
          digest: digestOf(statement),
          size: statement.length,
          annotations: { 'in-toto.io/predicate-type': 'https://slsa.dev/provenance/v0.2' },
        },
      ],
    }),
  );
  const { digest } = await pushDocument(
    { ...target, tag: digestOf(manifest) },
    { mediaType: ociManifestType, bytes: manifest },
  );
  const index = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: ociIndexType,
      manifests: [
        { mediaType: ociManifestType, digest: image.digest, size: image.bytes.length, platform },
        {
          mediaType: ociManifestType,
          digest,
          size: manifest.length,
          annotations: {
            'vnd.docker.reference.digest': image.digest,
            'vnd.docker.reference.type': 'attestation-manifest',
          },
          platform: { architecture: 'unknown', os: 'unknown' },
        },
      ],
    }),
  );
  const pushed = await pushDocument(target, { mediaType: ociIndexType, bytes: index });
  return {
    image,
    attestation: { digest, blobs: [digestOf(config), digestOf(statement)] },
    // Such an engine names the image by what it pushes.
    reported: {
      imageId: pushed.digest,
      digest: pushed.digest,
      size: index.length,
      config: platform,
      timings: {},
      sentBytes: 0,
    },
  };
}

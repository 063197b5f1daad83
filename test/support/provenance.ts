/** What an engine with the containerd image store makes and pushes: an index of one image and the provenance beside it. */
import { randomBytes } from 'node:crypto';
import type { PushedImage } from '../../shared/task.ts';
import { digestOf, pushBlob, pushDocument, type SampleTarget } from './sample-image.ts';

export const ociIndexType = 'application/vnd.oci.image.index.v1+json';
const ociManifestType = 'application/vnd.oci.image.manifest.v1+json';
const ociConfigType = 'application/vnd.oci.image.config.v1+json';

interface Manifest {
  readonly digest: string;
  readonly bytes: Buffer;
  /** Config and layers. */
  readonly contents: readonly Buffer[];
}

export interface ProvenImage {
  readonly platform: { readonly os: string; readonly architecture: string };
  readonly image: Manifest;
  readonly attestation: Manifest;
  readonly index: { readonly digest: string; readonly bytes: Buffer };
  /** As an agent would report it. */
  readonly reported: PushedImage;
}

/** Of two random layers; in memory. */
export function provenImage(platform: ProvenImage['platform']): ProvenImage {
  const config = Buffer.from(JSON.stringify({ ...platform, salt: randomBytes(8).toString('hex') }));
  const layers = [randomBytes(100), randomBytes(100)];
  const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' };
  const image = manifestOf(
    config,
    layers.map((bytes) => ({ ...layer, bytes })),
  );
  const statement = JSON.stringify({ _type: 'https://in-toto.io/Statement/v0.1', subject: image.digest });
  const attestation = manifestOf(Buffer.from('{"architecture":"unknown","os":"unknown","config":{}}'), [
    {
      mediaType: 'application/vnd.in-toto+json',
      bytes: Buffer.from(statement),
      annotations: { 'in-toto.io/predicate-type': 'https://slsa.dev/provenance/v0.2' },
    },
  ]);
  const index = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: ociIndexType,
      manifests: [
        { ...descriptorOf(ociManifestType, image.bytes), platform },
        {
          ...descriptorOf(ociManifestType, attestation.bytes),
          annotations: {
            'vnd.docker.reference.digest': image.digest,
            'vnd.docker.reference.type': 'attestation-manifest',
          },
          platform: { architecture: 'unknown', os: 'unknown' },
        },
      ],
    }),
  );
  const digest = digestOf(index);
  return {
    platform,
    image,
    attestation,
    index: { digest, bytes: index },
    // Such an engine names the image by what it pushes.
    reported: { imageId: digest, digest, size: index.length, config: platform, timings: {}, sentBytes: 0 },
  };
}

export async function pushProven(
  target: SampleTarget,
  { image, attestation, index }: ProvenImage,
): Promise<void> {
  for (const { digest, bytes, contents } of [image, attestation]) {
    for (const content of contents) await pushBlob(target, content);
    await pushDocument({ ...target, tag: digest }, { mediaType: ociManifestType, bytes });
  }
  await pushDocument(target, { mediaType: ociIndexType, bytes: index.bytes });
}

interface Layer {
  readonly mediaType: string;
  readonly bytes: Buffer;
  readonly annotations?: Readonly<Record<string, string>>;
}

function manifestOf(config: Buffer, layers: readonly Layer[]): Manifest {
  const manifest = {
    schemaVersion: 2,
    mediaType: ociManifestType,
    config: descriptorOf(ociConfigType, config),
    layers: layers.map(({ mediaType, bytes, ...rest }) => ({ ...descriptorOf(mediaType, bytes), ...rest })),
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  return { digest: digestOf(bytes), bytes, contents: [config, ...layers.map((layer) => layer.bytes)] };
}

function descriptorOf(mediaType: string, bytes: Buffer): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

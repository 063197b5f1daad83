/** The bytes of a manifest list: whoever assembles the same children gets the same digest. */
import type { VerifiedImage } from '../farm/events.ts';
import { digestOf } from '../registry/digest.ts';
import type { Manifest } from './document.ts';
import { dockerList, dockerManifest, ociIndex } from './media-types.ts';

/** In the order given. A Docker list when every child is Docker-typed, an OCI index otherwise. */
export function assembleList(children: readonly VerifiedImage[]): Manifest {
  const docker = children.every(({ descriptor }) => descriptor.mediaType === dockerManifest);
  const mediaType = docker ? dockerList : ociIndex;
  const manifests = children.map(({ descriptor, platform }) => {
    const { digest, size } = descriptor;
    // Each in the order of fields that its own tools write.
    const reference = docker ? { size, digest } : { digest, size };
    return { mediaType: descriptor.mediaType, ...reference, platform: platformFields(platform) };
  });
  const text = JSON.stringify({ schemaVersion: 2, mediaType, manifests }, null, docker ? 3 : 2);
  const bytes = Buffer.from(text);
  return { mediaType, digest: digestOf(bytes), bytes };
}

/** JSON leaves out what is undefined. */
function platformFields(platform: VerifiedImage['platform']): Record<string, unknown> {
  return {
    architecture: platform.architecture,
    os: platform.os,
    'os.version': platform.osVersion,
    'os.features': platform.osFeatures,
    variant: platform.variant,
  };
}

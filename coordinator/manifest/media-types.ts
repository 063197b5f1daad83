/** Media types of manifests and lists, and what they say about each other. */

export const dockerManifest = 'application/vnd.docker.distribution.manifest.v2+json';
export const dockerList = 'application/vnd.docker.distribution.manifest.list.v2+json';
export const ociManifest = 'application/vnd.oci.image.manifest.v1+json';
export const ociIndex = 'application/vnd.oci.image.index.v1+json';

/** All at once: a registry answers 404 for an image whose type the client does not name. */
export const acceptedManifests = [dockerManifest, dockerList, ociManifest, ociIndex].join(', ');

export function isList(mediaType: string): boolean {
  return mediaType === dockerList || mediaType === ociIndex;
}

export function isImageManifest(mediaType: string): boolean {
  return mediaType === dockerManifest || mediaType === ociManifest;
}

/** Layers that stay where their `urls` say and are in no registry of ours. */
export function isForeignLayer(mediaType: string): boolean {
  return (
    mediaType.startsWith('application/vnd.docker.image.rootfs.foreign.') ||
    mediaType.startsWith('application/vnd.oci.image.layer.nondistributable.')
  );
}

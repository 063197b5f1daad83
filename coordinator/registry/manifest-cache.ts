/** Manifests by digest, so that publishing does not fetch what verifying has just read. */
import type { Manifest } from '../manifest/document.ts';

/** Bytes of all together; manifests have one or two KiB. */
const maxBytes = 16 * 1024 * 1024;
/** Bytes that an entry takes beside those of its manifest. */
const overhead = 512;

export class ManifestCache {
  /** The oldest first. */
  readonly #manifests = new Map<string, Manifest>();
  #bytes = 0;

  get(digest: string): Manifest | undefined {
    return this.#manifests.get(digest);
  }

  add(manifest: Manifest): void {
    if (this.#manifests.has(manifest.digest)) return;
    // Small buffers are parts of a larger one, which a cached part would hold.
    const bytes = Buffer.from(new Uint8Array(manifest.bytes).buffer);
    this.#manifests.set(manifest.digest, { ...manifest, bytes });
    this.#bytes += bytes.length + overhead;
    for (const [digest, { bytes }] of this.#manifests) {
      if (this.#bytes <= maxBytes) break;
      this.#manifests.delete(digest);
      this.#bytes -= bytes.length + overhead;
    }
  }
}

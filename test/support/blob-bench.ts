/** Blobs on their way between repositories of Debian's docker-registry, with somebody in between who makes it hard. */
import { randomBytes } from 'node:crypto';
import * as assert from 'uvu/assert';
import { bringBlob, readBlob } from '../../coordinator/registry/blobs.ts';
import { Registries } from '../../coordinator/registry/registries.ts';
import type { Repository } from '../../coordinator/registry/repository.ts';
import { defaultTiming } from '../../coordinator/registry/timing.ts';
import type { Descriptor } from '../../shared/progress.ts';
import { parseReference } from '../../shared/reference.ts';
import { startRegistry } from '../../scripts/rig/registry.ts';
import { dockerConfig } from './docker-config.ts';
import { startFaultProxy, type Hook } from './fault-proxy.ts';
import type { RunningServer } from './logged-server.ts';
import { digestOf, pushBlob } from './sample-image.ts';

const { signal } = new AbortController();
const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip';

export interface BlobBench {
  readonly registries: Registries;
  readonly proxy: RunningServer;
  /** Of the real registry. */
  readonly host: string;
  repository(name: string): Repository;
  /** A blob of random bytes in repository `from`. */
  blob(size: number): Promise<{ bytes: Buffer; blob: Descriptor }>;
  bring(blob: Descriptor, from?: string): Promise<string>;
  /** What was asked of the proxy so far, without digests and upload ids, as `METHOD what`. */
  asked(): string[];
}

export async function withBench(hook: Hook, work: (bench: BlobBench) => Promise<void>): Promise<void> {
  await using registry = await startRegistry();
  await using proxy = await startFaultProxy(registry.host, hook);
  await using config = await dockerConfig({});
  const timing = { ...defaultTiming, firstPause: 1, maxPause: 5 };
  await using registries = new Registries({ configDirectory: config.path, timing });
  const repository = (name: string): Repository =>
    registries.repository(parseReference(`${proxy.host}/${name}`));
  await work({
    registries,
    proxy,
    host: registry.host,
    repository,
    async blob(size) {
      const bytes = randomBytes(size);
      await pushBlob({ host: registry.host, repository: 'from' }, bytes);
      return { bytes, blob: { mediaType, digest: digestOf(bytes), size } };
    },
    bring: (blob, from = 'from') => bringBlob({ from: repository(from), to: repository('to'), blob }, signal),
    asked: () =>
      proxy.log.map((line) =>
        line
          .replace(/ .*\/uploads\/\?mount.*/, ' mount')
          .replace(/ .*\/uploads\/$/, ' uploads')
          .replace(/ .*\/uploads\/.*digest=.*/, ' close')
          .replace(/ .*\/uploads\/.*/, ' upload')
          .replace(/ .*\/blobs\/sha256.*/, ' blob'),
      ),
  });
}

/** It is in repository `to` as it was. */
export async function checkBlob(
  bench: BlobBench,
  { bytes, blob }: { bytes: Buffer; blob: Descriptor },
): Promise<void> {
  const read = await readBlob(bench.repository('to'), blob, { limit: blob.size, signal });
  assert.ok(read.equals(bytes));
}

export function isMount(url: string | undefined): boolean {
  return url?.includes('?mount=') === true;
}

/** Mounts become uploads, as registries do that know no mounts. */
export const withoutMounts: Hook = (request) => {
  if (isMount(request.url)) request.url = request.url?.replace(/\?.*/, '');
  return false;
};

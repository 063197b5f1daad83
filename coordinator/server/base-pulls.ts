/**
 * From which repositories the base images of running builds are pulled: layers that come from one may be mounted into
 * another of the same registry, by a push that may read both. In memory only; what is forgotten is uploaded.
 */
import { formatReference } from '../../shared/reference.ts';
import { referenceHost } from '../registry/endpoint.ts';

/** Repositories of one build that are remembered. Each is a scope of a token, and servers bound an address. */
const maxRepositories = 20;

export class BasePulls {
  readonly #builds = new Map<string, Set<string>>();

  /** `host` as an engine reaches it. */
  note(build: string, { host, repositories }: { host: string; repositories: readonly string[] }): void {
    const known = this.#builds.get(build) ?? new Set();
    this.#builds.set(build, known);
    for (const repository of repositories) {
      if (known.size >= maxRepositories) return;
      known.add(formatReference({ registry: referenceHost(host), repository }));
    }
  }

  /** Full names, with their registries. Of all platforms: they share a Dockerfile, and an engine asks once for all. */
  of(build: string): readonly string[] {
    return [...(this.#builds.get(build) ?? [])];
  }

  forget(build: string): void {
    this.#builds.delete(build);
  }
}

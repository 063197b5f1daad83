/** Registries as metrics name them: whoever builds says which hosts are asked, and each name is there until a restart. */

const maxHosts = 50;
const other = 'other';

export class HostLabels {
  readonly #hosts = new Set<string>();

  /** There is such a host. */
  answered(host: string): void {
    if (this.#hosts.size < maxHosts) this.#hosts.add(host);
  }

  of(host: string): string {
    return this.#hosts.has(host) ? host : other;
  }
}

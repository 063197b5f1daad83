/** One repository of one registry. */
import type { RegistryClient } from './client.ts';
import { pull, push, type Scope } from './scope.ts';

export class Repository {
  readonly client: RegistryClient;
  /** Without the registry: `onap/py-app`. */
  readonly name: string;

  constructor(client: RegistryClient, name: string) {
    this.client = client;
    this.name = name;
  }

  /** With the registry: `host/onap/py-app`. */
  get fullName(): string {
    return `${this.client.endpoint.host}/${this.name}`;
  }

  get pullScope(): Scope {
    return pull(this.name);
  }

  get pushScope(): Scope {
    return push(this.name);
  }

  /** `host/onap/py-app:tag` or `…@digest`. */
  reference(tagOrDigest: string): string {
    return `${this.fullName}${tagOrDigest.includes(':') ? '@' : ':'}${tagOrDigest}`;
  }

  /** Path of the API below this repository. */
  path(rest: string): string {
    return `/v2/${this.name}/${rest}`;
  }
}

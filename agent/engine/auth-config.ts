/** How an engine is told to sign in to a registry. */
import type Docker from 'dockerode';
import type { RegistryAuth } from '../../shared/task.ts';

export function authConfig(auth: RegistryAuth, registry: string): Docker.AuthConfigObject {
  switch (auth.type) {
    case 'bearer':
      return { registrytoken: auth.token };
    case 'basic':
      return { username: auth.username, password: auth.password, serveraddress: registry };
    case 'anonymous':
      return {};
    default:
      return auth satisfies never;
  }
}

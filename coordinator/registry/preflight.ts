/** Whether a push would be taken, asked before an hour of building goes into it. */
import { RegistryError } from './registry-error.ts';
import type { Repository } from './repository.ts';
import { giveUp, startUpload } from './uploads.ts';

/** Somebody waits for the answer; a push later has more patience. */
const tries = 3;
/** Milliseconds. */
const cleanUp = 10_000;

/**
 * Opens an upload and, without waiting, gives it up again, which leaves nothing behind. Throws `registry-denied`, `registry-unreachable`
 * (TLS included), or `registry-error`: for a repository that is missing and that a push does not create, say.
 */
export async function canPush(repository: Repository, signal: AbortSignal): Promise<void> {
  try {
    const upload = await startUpload(repository, { signal, tries });
    repository.client.later(giveUp(repository, upload, AbortSignal.timeout(cleanUp)));
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    throw explain(repository, error);
  }
}

function explain(repository: Repository, error: RegistryError): RegistryError {
  const { status, registryCodes } = error;
  if (status === 404) {
    return new RegistryError(
      'registry-error',
      `${repository.fullName} is not in the registry, which creates no repository for a push: ${error.message}`,
      { status, registryCodes, cause: error, hint: 'create the repository (or its project) there first' },
    );
  }
  if (status === 405) {
    return new RegistryError(
      'registry-error',
      `registry ${repository.client.endpoint.host} takes no pushes: ${error.message}`,
      {
        status,
        registryCodes,
        cause: error,
        hint: 'it may be read-only, a mirror, or not a registry',
      },
    );
  }
  return error;
}

/**
 * How BuildKit signs in to the registries of base images: with a password where nothing else will do, with a token
 * that somebody else got where the registry takes tokens, and in its own way where we have nothing for the host.
 * https://github.com/moby/buildkit/blob/master/session/auth/auth.proto
 */
import { generateKeyPairSync, sign } from 'node:crypto';
import type { RegistryAuth } from '../../shared/task.ts';
import { GrpcError, grpcStatus, unary, type GrpcMethods } from './grpc.ts';
import { bytesField, readFields, textField, writeMessage } from './protobuf.ts';

export interface PullAuth {
  /** What this registry takes; `anonymous` where we have nothing for it. */
  pullScheme(host: string, signal: AbortSignal): Promise<RegistryAuth['type']>;
  /** For pulling from these repositories of one registry, where it is asked for them at all. */
  pullAuth(
    wanted: { readonly host: string; readonly repositories: readonly string[] },
    signal: AbortSignal,
  ): Promise<RegistryAuth>;
}

/** Seconds, where nobody says: the token specification's default. */
const defaultLifetime = 60;
/** Of a raw key, at the end of its DER form. */
const publicKeyLength = 32;

/**
 * An engine keeps tokens for whoever proves to have the key that it got them under. The key is new for every session:
 * a build uses no token that another one was given, and the coordinator hears of every repository that it pulls from.
 */
export function pullAuthMethods(auth: PullAuth): GrpcMethods {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const rawKey = publicKey.export({ type: 'spki', format: 'der' }).subarray(-publicKeyLength);
  return {
    '/moby.filesync.v1.Auth/GetTokenAuthority': unary(async (request, { signal }) => {
      const host = textField(request, 1);
      if ((await auth.pullScheme(host, signal)) !== 'bearer') throw unserved(`no tokens for ${host}`);
      return writeMessage([[1, rawKey]]);
    }),
    '/moby.filesync.v1.Auth/VerifyTokenAuthority': unary(async (request) => {
      const payload = bytesField(request, 2);
      return writeMessage([[1, Buffer.concat([sign(null, payload, privateKey), payload])]]);
    }),
    // The realm and the service in the request are the registry's words, and not needed: whoever gets the token asks
    // the registry itself.
    '/moby.filesync.v1.Auth/FetchToken': unary(async (request, { signal }) => {
      const host = textField(request, 2);
      const found = await auth.pullAuth({ host, repositories: repositoriesOf(request) }, signal);
      if (found.type !== 'bearer') throw unserved(`no tokens for ${host}`);
      return writeMessage([
        [1, found.token],
        [2, Math.max(1, Math.floor((found.lifetime ?? defaultLifetime * 1000) / 1000))],
        // Without this time an engine takes the token for one that never ends.
        [3, Math.floor(Date.now() / 1000)],
      ]);
    }),
    '/moby.filesync.v1.Auth/Credentials': unary(async (request, { signal }) => {
      const host = textField(request, 1);
      switch (await auth.pullScheme(host, signal)) {
        case 'bearer':
          // `unimplemented` counts as no password, and the engine would go on as it did for another build that had
          // none: without signing in.
          throw new GrpcError(
            grpcStatus.permissionDenied,
            `${host} takes tokens, so no password is given away`,
          );
        case 'anonymous':
          return Buffer.alloc(0);
        default: {
          const found = await auth.pullAuth({ host, repositories: [] }, signal);
          if (found.type !== 'basic') return Buffer.alloc(0);
          return writeMessage([
            [1, found.username],
            [2, found.password],
          ]);
        }
      }
    }),
  };
}

/** BuildKit goes on in another way only when this is the status. */
function unserved(message: string): GrpcError {
  return new GrpcError(grpcStatus.unimplemented, message);
}

/** Scopes read `repository:NAME:ACTIONS`, where NAME may have a port; several may share a text. */
export function repositoriesOf(request: Buffer): string[] {
  const names = new Set<string>();
  for (const field of readFields(request)) {
    if (field.number !== 5) continue;
    for (const scope of field.bytes.toString('utf8').split(' ')) {
      const name = /^repository(?:\([^)]*\))?:(.+):[^:]*$/.exec(scope)?.[1];
      if (name !== undefined) names.add(name);
    }
  }
  return [...names];
}

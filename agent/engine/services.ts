/** What BuildKit asks of a build besides files: credentials of base images' registries, secrets, ssh agents. */
import type { Duplex } from 'node:stream';
import type { ContextSource } from '../../shared/context/tree.ts';
import { GrpcError, grpcStatus, unary, type GrpcMethods } from './grpc.ts';
import { textField, writeMessage } from './protobuf.ts';
import { pullAuthMethods, type PullAuth } from './pull-auth.ts';
import { forwardSsh } from './ssh-forward.ts';

/** Where a build's answers come from. What a method throws fails the build with that error. */
export interface BuildServices extends PullAuth {
  readonly context: ContextSource;
  secret(id: string, signal: AbortSignal): Promise<Buffer>;
  /** A connection to the ssh agent of that id. */
  ssh(id: string, signal: AbortSignal): Promise<Duplex>;
}

export interface ServiceOptions {
  readonly services: Omit<BuildServices, 'context'>;
  /** Ids the build was given; a question for another one is answered with "not found". */
  readonly secrets: readonly string[];
  readonly ssh: readonly string[];
}

/** Without the health method the engine drops a session after a second. */
export function serviceMethods({ services, secrets, ssh }: ServiceOptions): GrpcMethods {
  return {
    '/grpc.health.v1.Health/Check': unary(async () => writeMessage([[1, 1]])),
    ...pullAuthMethods(services),
    '/moby.buildkit.secrets.v1.Secrets/GetSecret': unary(async (request, { signal }) => {
      const id = textField(request, 1);
      requireKnown(id, { kind: 'secret', known: secrets });
      return writeMessage([[1, await services.secret(id, signal)]]);
    }),
    '/moby.sshforward.v1.SSH/CheckAgent': unary(async (request) => {
      requireKnown(textField(request, 1) || 'default', { kind: 'ssh agent', known: ssh });
      return Buffer.alloc(0);
    }),
    '/moby.sshforward.v1.SSH/ForwardAgent': async (call) => {
      const id = call.metadata('buildkit.ssh.id')[0] ?? 'default';
      requireKnown(id, { kind: 'ssh agent', known: ssh });
      await forwardSsh(call, await services.ssh(id, call.signal), id);
    },
  };
}

function requireKnown(id: string, { kind, known }: { kind: string; known: readonly string[] }): void {
  // BuildKit goes on without a mount that is not required only when this is the status.
  if (!known.includes(id))
    throw new GrpcError(grpcStatus.notFound, `${kind} ${id} was not given to this build`);
}

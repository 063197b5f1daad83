/**
 * The serving side of gRPC over one socket that is already connected: as much of it as BuildKit asks of a session.
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
import { performServerHandshake, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { GrpcSender, type GrpcMessage } from './grpc-sender.ts';

/** One call, as a method sees it. */
export interface GrpcCall {
  /** Aborts when the caller, or the connection, is gone. */
  readonly signal: AbortSignal;
  readonly messages: AsyncGenerator<Buffer, void, undefined>;
  metadata(name: string): readonly string[];
  /** Resolves when there is room for more. */
  send(messages: readonly GrpcMessage[]): Promise<void>;
  /** Sends without waiting for room: for the last words of a call. */
  post(messages: readonly GrpcMessage[]): void;
}

export type GrpcMethod = (call: GrpcCall) => Promise<void>;

/** By path, `/package.Service/Method`. */
export type GrpcMethods = Readonly<Record<string, GrpcMethod>>;

export const grpcStatus = {
  ok: 0,
  unknown: 2,
  notFound: 5,
  permissionDenied: 7,
  unimplemented: 12,
} as const;

/** Ends a call with a status other than `unknown`. */
export class GrpcError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface GrpcOptions {
  readonly methods: GrpcMethods;
  /** What a method threw that is not a GrpcError; the caller gets its message. */
  readonly onError: (error: Error) => void;
}

/** gRPC's own limit for a received message, which every Go server has unless told otherwise. */
const maxMessageBytes = 4 << 20;

/** Follow paths and ignore patterns travel as headers, one each: a Dockerfile may well have thousands. */
const maxHeaderPairs = 100_000;
const maxHeaderBytes = 8 << 20;

/** A method of one question and one answer. */
export function unary(answer: (request: Buffer, call: GrpcCall) => Promise<Buffer>): GrpcMethod {
  return async (call) => {
    const request = await call.messages.next();
    await call.send([await answer(request.value ?? Buffer.alloc(0), call)]);
  };
}

/** Serves until the socket closes; the disposer closes it and waits for the methods to end. */
export function serveGrpc(socket: Duplex, { methods, onError }: GrpcOptions): AsyncDisposable {
  const calls = new Set<Promise<void>>();
  const session = performServerHandshake(socket, {
    maxHeaderListPairs: maxHeaderPairs,
    settings: { maxHeaderListSize: maxHeaderBytes },
  });
  // The engine closes without ceremony when the build is over; whoever needs the session notices by its signal.
  session.on('error', () => {});
  socket.on('error', () => {});
  session.on(
    'stream',
    (stream: ServerHttp2Stream, _headers: unknown, _flags: number, rawHeaders: string[]) => {
      const call = serveCall(stream, { rawHeaders, methods, onError }).finally(() => calls.delete(call));
      calls.add(call);
    },
  );
  return {
    async [Symbol.asyncDispose]() {
      session.destroy();
      socket.destroy();
      await Promise.all(calls);
    },
  };
}

interface IncomingCall extends GrpcOptions {
  readonly rawHeaders: readonly string[];
}

/** Never rejects: how a call failed is the caller's news, and `onError`'s. */
async function serveCall(stream: ServerHttp2Stream, incoming: IncomingCall): Promise<void> {
  const gone = new AbortController();
  stream.on('error', () => {});
  stream.on('close', () => gone.abort(new Error('the engine ended the call')));
  const metadata = readMetadata(incoming.rawHeaders);
  const path = metadata.get(':path')?.[0] ?? '';
  const method = incoming.methods[path];
  const sender = new GrpcSender(stream, gone.signal);
  try {
    // The engine may have ended it in the same breath.
    if (stream.destroyed) return;
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    if (method === undefined) throw new GrpcError(grpcStatus.unimplemented, `no ${path}`);
    await method({
      signal: gone.signal,
      messages: readMessages(stream),
      metadata: (name) => metadata.get(name) ?? [],
      send: (messages) => sender.send(messages),
      post: (messages) => sender.post(messages),
    });
    sender.end();
    finish(stream);
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    if (!gone.signal.aborted && !(error instanceof GrpcError)) incoming.onError(error);
    sender.end();
    finish(stream, error);
  }
}

/** Repeated keys come joined in the parsed headers; only the raw ones tell `a, b` from `a` and `b`. */
function readMetadata(rawHeaders: readonly string[]): Map<string, string[]> {
  const metadata = new Map<string, string[]>();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    const values = metadata.get(name) ?? [];
    values.push(rawHeaders[index + 1] ?? '');
    metadata.set(name, values);
  }
  return metadata;
}

async function* readMessages(stream: ServerHttp2Stream): AsyncGenerator<Buffer, void, undefined> {
  let pending: Buffer = Buffer.alloc(0);
  // A reader that stops early must not destroy the stream: the trailers are still to come.
  const chunks: AsyncIterable<Buffer> = stream.iterator({ destroyOnReturn: false });
  for await (const chunk of chunks) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length >= 5) {
      const length = pending.readUInt32BE(1);
      if (pending[0] !== 0) throw new Error('compressed gRPC messages are not supported');
      if (length > maxMessageBytes) throw new Error(`gRPC message of ${length} bytes`);
      if (pending.length < 5 + length) break;
      yield pending.subarray(5, 5 + length);
      pending = pending.subarray(5 + length);
    }
  }
}

function finish(stream: ServerHttp2Stream, error?: Error): void {
  if (stream.destroyed || stream.closed) return;
  const status = error instanceof GrpcError ? error.status : error ? grpcStatus.unknown : grpcStatus.ok;
  stream.once('wantTrailers', () => {
    stream.sendTrailers({
      'grpc-status': String(status),
      ...(error === undefined
        ? {}
        : { 'grpc-message': encodeURIComponent(Buffer.from(error.message).toString()) }),
    });
  });
  stream.end();
}

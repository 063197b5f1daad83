/** BuildKit's report of a running build, `moby.buildkit.v1.StatusResponse`, decoded. */
import { readFields } from './protobuf.ts';

export interface BuildKitStatus {
  readonly vertexes: readonly Vertex[];
  readonly progress: readonly VertexProgress[];
  readonly logs: readonly VertexLog[];
  readonly warnings: readonly VertexWarning[];
}

/** A step. It is reported again, whole, on each change. */
export interface Vertex {
  readonly digest: string;
  readonly name: string;
  readonly cached: boolean;
  /** Milliseconds since 1970, by the engine's clock. */
  readonly started?: number;
  readonly completed?: number;
  readonly error: string;
}

/** How far something within a step is, such as a layer that is pulled. The engine repeats it when nothing has moved, too. */
export interface VertexProgress {
  readonly vertex: string;
  readonly id: string;
  readonly current: number;
  readonly isOver: boolean;
}

export interface VertexLog {
  readonly vertex: string;
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Buffer;
}

export interface VertexWarning {
  readonly text: string;
  readonly url: string;
}

export function decodeStatus(message: Buffer): BuildKitStatus {
  const vertexes: Vertex[] = [];
  const progress: VertexProgress[] = [];
  const logs: VertexLog[] = [];
  const warnings: VertexWarning[] = [];
  for (const { number, bytes } of readFields(message)) {
    if (number === 1) vertexes.push(decodeVertex(bytes));
    else if (number === 2) progress.push(decodeProgress(bytes));
    else if (number === 3) logs.push(decodeLog(bytes));
    else if (number === 4) warnings.push(decodeWarning(bytes));
  }
  return { vertexes, progress, logs, warnings };
}

function decodeVertex(message: Buffer): Vertex {
  const vertex: { -readonly [Key in keyof Vertex]: Vertex[Key] } = {
    digest: '',
    name: '',
    cached: false,
    error: '',
  };
  for (const { number, bytes, integer } of readFields(message)) {
    if (number === 1) vertex.digest = bytes.toString();
    else if (number === 3) vertex.name = bytes.toString();
    else if (number === 4) vertex.cached = integer === 1n;
    else if (number === 5) vertex.started = decodeTimestamp(bytes);
    else if (number === 6) vertex.completed = decodeTimestamp(bytes);
    else if (number === 7) vertex.error = bytes.toString();
  }
  return vertex;
}

function decodeProgress(message: Buffer): VertexProgress {
  const progress: { -readonly [Key in keyof VertexProgress]: VertexProgress[Key] } = {
    vertex: '',
    id: '',
    current: 0,
    isOver: false,
  };
  for (const { number, bytes, integer } of readFields(message)) {
    if (number === 1) progress.id = bytes.toString();
    else if (number === 2) progress.vertex = bytes.toString();
    else if (number === 4) progress.current = Number(integer);
    else if (number === 8) progress.isOver = true;
  }
  return progress;
}

function decodeLog(message: Buffer): VertexLog {
  let vertex = '';
  let stream: VertexLog['stream'] = 'stdout';
  let text: Buffer = Buffer.alloc(0);
  for (const { number, bytes, integer } of readFields(message)) {
    if (number === 1) vertex = bytes.toString();
    else if (number === 3) stream = integer === 2n ? 'stderr' : 'stdout';
    else if (number === 4) text = bytes;
  }
  return { vertex, stream, bytes: text };
}

function decodeWarning(message: Buffer): VertexWarning {
  let text = '';
  let url = '';
  for (const { number, bytes } of readFields(message)) {
    if (number === 3) text = bytes.toString();
    else if (number === 5) url = bytes.toString();
  }
  return { text, url };
}

function decodeTimestamp(message: Buffer): number {
  let milliseconds = 0;
  for (const { number, integer } of readFields(message)) {
    const value = Number(BigInt.asIntN(64, integer));
    milliseconds += number === 1 ? value * 1000 : value / 1e6;
  }
  return milliseconds;
}

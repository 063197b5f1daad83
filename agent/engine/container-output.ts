/**
 * The output of a container without a terminal: both streams in one, in frames with a header of 8 bytes
 * (https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach).
 */

export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr';
  /** A part of a frame: cut anywhere. */
  readonly bytes: Buffer;
}

const headerBytes = 8;

/** Passes on what has come of a frame, however long the frame says it is. */
export async function* readOutput(source: AsyncIterable<Buffer>): AsyncGenerator<OutputChunk> {
  let header: Buffer = Buffer.alloc(0);
  let left = 0;
  for await (const chunk of source) {
    let rest = chunk;
    while (rest.length > 0) {
      if (left === 0) {
        const missing = headerBytes - header.length;
        header = Buffer.concat([header, rest.subarray(0, missing)]);
        rest = rest.subarray(missing);
        if (header.length < headerBytes) break;
        left = header.readUInt32BE(4);
      }
      const bytes = rest.subarray(0, left);
      left -= bytes.length;
      rest = rest.subarray(bytes.length);
      if (bytes.length > 0) yield { stream: header[0] === 2 ? 'stderr' : 'stdout', bytes };
      if (left === 0) header = Buffer.alloc(0);
    }
  }
}

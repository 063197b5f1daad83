/**
 * A content that is in memory already. It reads like any stream of chunks; whoever sends many small ones asks for its
 * bytes, because a generator for each costs more than the content.
 */
export class WholeContent implements AsyncIterable<Buffer> {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer, undefined> {
    let left = this.bytes.length === 0 ? [] : [this.bytes];
    return {
      next: () => {
        const [value] = left;
        left = [];
        return Promise.resolve(value === undefined ? { done: true, value } : { done: false, value });
      },
    };
  }
}

/** All that is left to be read, in memory. */
export async function wholeOf(content: AsyncIterable<Buffer>): Promise<Buffer> {
  if (content instanceof WholeContent) return content.bytes;
  const parts: Buffer[] = [];
  for await (const chunk of content) parts.push(chunk);
  return Buffer.concat(parts);
}

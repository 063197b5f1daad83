/** The chunks of a stream whose types do not say that they are buffers. */
export async function* buffers(stream: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
  for await (const chunk of stream) {
    if (!Buffer.isBuffer(chunk)) throw new TypeError('a stream of something else than bytes');
    yield chunk;
  }
}

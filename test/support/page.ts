/**
 * As much of a browser's page as the dashboard's requests need, for tests of its modules: to be imported before them. What
 * they ask for is answered by a function.
 */

export interface Asked {
  /** `METHOD /path?query` */
  readonly request: string;
  readonly signal: AbortSignal | undefined;
}

let answer: (asked: Asked) => Response | Promise<Response> = () => new Response(undefined, { status: 404 });

/** From now on. */
export function answerWith(given: typeof answer): void {
  answer = given;
}

/** A stream of lines, which goes on until it is closed. */
export function openLines(): { readonly response: Response; say(line: unknown): void; close(): void } {
  const text = new TextEncoder();
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  return {
    response: new Response(readable),
    say: (line) => void writer.write(text.encode(`${JSON.stringify(line)}\n`)).catch(() => {}),
    close: () => void writer.close().catch(() => {}),
  };
}

const keepTime = globalThis.setInterval;

Object.assign(globalThis, {
  document: Object.assign(new EventTarget(), { hidden: false }),
  sessionStorage: { getItem: () => null, setItem: () => {}, removeItem: () => {} },
  requestAnimationFrame: (draw: () => void) => setImmediate(draw),
  cancelAnimationFrame: (frame: NodeJS.Immediate) => clearImmediate(frame),
  // A page's clock goes on for as long as the page.
  setInterval: (...given: Parameters<typeof setInterval>) => keepTime(...given).unref(),
  fetch: async (path: string, { method = 'GET', signal }: RequestInit = {}): Promise<Response> => {
    const asked = { request: `${method} ${path}`, signal: signal ?? undefined };
    const { body, status } = await answer(asked);
    const pipe = signal == null ? {} : { signal };
    return new Response(body?.pipeThrough(new TransformStream(), pipe) ?? null, { status });
  },
});

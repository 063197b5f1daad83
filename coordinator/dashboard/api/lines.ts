/** Lines of JSON as they come, over connections that may break. */
import { request, type RequestError } from './request.ts';
import { isRefusal, Pauses } from './retry.ts';
import { pageIsSeen } from './visibility.ts';

export type LinkState = 'connecting' | 'live' | 'waiting' | 'refused' | 'ended';

export interface FollowOptions<Line> {
  /** Asked for each connection anew: it may say from where to go on. */
  readonly path: () => string;
  /** All that came at once. */
  readonly take: (lines: Line[]) => void;
  readonly state: (state: LinkState, error?: RequestError) => void;
  /** Whether the last line has come. */
  readonly isOver?: () => boolean;
  readonly signal: AbortSignal;
}

/** Milliseconds: the coordinator sends an empty line every 15 s. */
const silence = 40_000;

/** Until it is over, aborted or refused. A page that nobody looks at holds no connection. */
export async function follow<Line>(options: FollowOptions<Line>): Promise<void> {
  const { state, isOver = () => false, signal } = options;
  const pauses = new Pauses();
  while (!signal.aborted && !isOver()) {
    const shown = await pageIsSeen(signal);
    if (signal.aborted) return;
    state('connecting');
    try {
      await readOnce(options, shown, () => pauses.worked());
      if (isOver()) break;
    } catch (error) {
      if (signal.aborted) return;
      if (isRefusal(error)) {
        state('refused', error);
        return;
      }
    }
    if (shown.aborted) continue;
    state('waiting');
    await pauses.wait(signal);
  }
  state('ended');
}

async function readOnce<Line>(
  { path, take, state, signal }: FollowOptions<Line>,
  seen: AbortSignal,
  up: () => void,
): Promise<void> {
  const late = new AbortController();
  const all = AbortSignal.any([signal, seen, late.signal]);
  let timer = setTimeout(() => late.abort(), silence);
  try {
    const answer = await request(path(), { signal: all });
    if (answer.body === null) return;
    state('live');
    up();
    const reader = answer.body.getReader();
    const decoder = new TextDecoder();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => late.abort(), silence);
      const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      const values = lines.filter((line) => line !== '').map((line): Line => JSON.parse(line));
      if (values.length > 0) take(values);
    }
  } finally {
    clearTimeout(timer);
  }
}

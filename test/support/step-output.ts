/** What the steps of a build wrote. */
import type { Frame } from '../../shared/progress.ts';

/** On one platform, in order. */
export function stepOutput(frames: readonly Frame[], platform: string): string {
  return frames
    .flatMap((frame) => (frame.type === 'log' && frame.platform === platform ? [frame.text] : []))
    .join('\n');
}

/** What content is called. */
import { createHash } from 'node:crypto';

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** The token that a coordinator shares with its agents and clients: one word, since it travels in a header. */
import { ArchfarmError } from './errors.ts';

/** Undefined for an empty text. Throws `usage` naming where it came `from`, and never the text. */
export function parseToken(text: string, from: string): string | undefined {
  const token = text.trim();
  if (/^[\x21-\x7e]*$/.test(token)) return token || undefined;
  throw new ArchfarmError('usage', `${from} does not hold one token`, {
    hint: 'a token is one line of printable ASCII without spaces',
  });
}

/**
 * What a host needs to join a farm, in one word: the sha256 of a certificate by which it knows the coordinator, and a
 * secret that it shows to nobody else.
 */
import { ArchfarmError } from './errors.ts';

export interface JoinToken {
  /**
   * sha256 of a certificate that the coordinator shows, base64url: of its authority, or, where that is not shown, of the
   * coordinator's own.
   */
  readonly pin: string;
  /** Good for one use. */
  readonly secret: string;
}

/** A pin alone may begin with a hyphen, and every command would take the word for a flag. */
const start = 'afj_';

export function formatJoinToken({ pin, secret }: JoinToken): string {
  return `${start}${pin}.${secret}`;
}

/** Throws `usage`, and never tells the text. */
export function parseJoinToken(text: string): JoinToken {
  const [, pin, secret] = /^afj_([\w-]{43})\.([\w-]{32})$/.exec(text.trim()) ?? [];
  if (pin !== undefined && secret !== undefined) return { pin, secret };
  throw new ArchfarmError('usage', 'this is no token to join with', {
    hint: 'archfarm agents add NAME prints the whole command for the host',
  });
}

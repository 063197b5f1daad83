/** What an agent may be called: the name stands in paths, logs and certificates. */
import { ArchfarmError } from './errors.ts';

/** Throws `usage`; `flag` is what takes the name. */
export function parseAgentName(text: string, flag: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/.test(text)) return text;
  throw new ArchfarmError('usage', `invalid agent name ${JSON.stringify(text)}`, {
    hint: `letters, digits, dots, dashes and underscores, at most 128; ${flag} takes it`,
  });
}

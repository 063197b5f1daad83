/** The token that somebody types or pipes in: it shows on no screen, and is in no argument. */
import type { ReadStream } from 'node:tty';
import { text } from 'node:stream/consumers';
import { ArchfarmError } from '../../shared/errors.ts';
import { parseToken } from '../../shared/token.ts';

export interface TokenSource {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WritableStream;
  readonly signal: AbortSignal;
}

/** Throws `usage` for what is no token, `cancelled` for Ctrl-C at the prompt. */
export async function askToken(question: string, { input, output, signal }: TokenSource): Promise<string> {
  const given = input.isTTY ? await prompt(question, { input, output, signal }) : await text(input);
  const token = parseToken(given, 'what was typed in');
  if (token !== undefined) return token;
  throw new ArchfarmError('usage', 'no token was given', {
    hint: 'type it at the prompt, pipe it in, or name a file that holds it: --token-file FILE',
  });
}

async function prompt(
  question: string,
  { input, output, signal }: TokenSource & { readonly input: ReadStream },
): Promise<string> {
  // Before the question: whoever sees it may type at once.
  input.setRawMode(true);
  output.write(question);
  try {
    let typed = '';
    input.setEncoding('utf8');
    for await (const piece of input.iterator({ destroyOnReturn: false })) {
      for (const character of String(piece)) {
        if (character === '\r' || character === '\n') return typed;
        if (character === '\u0003' || character === '\u0004' || signal.aborted)
          throw new ArchfarmError('cancelled', 'no token was typed in');
        typed = character === '\u007F' || character === '\b' ? typed.slice(0, -1) : typed + character;
      }
    }
    return typed;
  } finally {
    input.setRawMode(false);
    input.pause();
    output.write('\n');
  }
}

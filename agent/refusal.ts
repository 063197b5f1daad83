/** Why a coordinator did not let an agent in: what it says of that itself, else what the status says. */
import type { IncomingMessage } from 'node:http';
import * as v from 'valibot';
import { ArchfarmError, isErrorCode, type ErrorCode, type ErrorInfo } from '../shared/errors.ts';

/** Bytes that are read of it. */
const maxText = 16 * 1024;

const schema = v.object({
  error: v.object({
    // A newer coordinator may have others.
    code: v.fallback(
      v.custom<ErrorCode>((code) => typeof code === 'string' && isErrorCode(code)),
      'internal',
    ),
    message: v.string(),
    hint: v.optional(v.string()),
  }),
});

/** Undefined where the answer is none of a coordinator that refuses something. */
export function refusalIn(text: string): ErrorInfo | undefined {
  const said = v.safeParse(v.pipe(v.string(), v.parseJson(), schema), text);
  return said.success ? said.output.error : undefined;
}

/** Never rejects. */
export async function readRefusal(response: IncomingMessage, coordinator: URL): Promise<ArchfarmError> {
  let text = '';
  try {
    for await (const piece of response.setEncoding('utf8')) {
      text += String(piece);
      if (text.length > maxText) break;
    }
  } catch {
    // What has come is all there is.
  }
  const said = refusalIn(text);
  const status = response.statusCode ?? 0;
  if (said === undefined) return new ArchfarmError('coordinator-unreachable', ofStatus(status, coordinator));
  const { code, message, hint } = said;
  return new ArchfarmError(code, `${coordinator.href} refuses this agent (HTTP ${status}): ${message}`, {
    hint,
  });
}

function ofStatus(status: number, coordinator: URL): string {
  if (status === 401 || status === 403) {
    return `${coordinator.href} refuses this agent's token (HTTP ${status}): set ARCHFARM_TOKEN or --token-file`;
  }
  if (status === 400 && coordinator.protocol === 'http:') {
    return `${coordinator.href} takes no plain request (HTTP 400): does it speak TLS? Then its address begins with wss://`;
  }
  return `${coordinator.href} answered HTTP ${status}: is it an archfarm coordinator?`;
}

/**
 * The one error class of archfarm. A code decides the exit status; the message says what happened to which
 * thing; the hint says what to do next. Every code has a row in the README.
 */

/** Error codes and the exit status: 1 build, 2 usage, 3 infrastructure, 4 time, 78 refused for good, 130 cancelled. */
export const exitStatusOf = {
  'build-failed': 1,
  'wrong-architecture': 1,
  'test-failed': 1,
  'verify-failed': 1,
  'not-found': 1,
  usage: 2,
  config: 2,
  'unknown-name': 2,
  'context-invalid': 2,
  'context-changed': 2,
  'context-limit': 2,
  unauthorized: 2,
  forbidden: 2,
  'no-buildkit': 2,
  'platform-loss': 2,
  'attestation-refused': 2,
  'policy-refused': 2,
  'secret-missing': 3,
  'client-gone': 3,
  'coordinator-unreachable': 3,
  'registry-unreachable': 3,
  'registry-denied': 3,
  'registry-error': 3,
  'engine-down': 3,
  'engine-error': 3,
  'agent-lost': 3,
  'blobs-lost': 3,
  'disk-full': 3,
  protocol: 3,
  'queue-full': 3,
  internal: 3,
  'no-agent': 4,
  timeout: 4,
  stalled: 4,
  'agent-removed': 78,
  cancelled: 130,
} as const;

export type ErrorCode = keyof typeof exitStatusOf;

export const errorCodes = Object.keys(exitStatusOf).filter(isErrorCode);

/** How an error travels: in messages, in the store, in `--json`. */
export interface ErrorInfo {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string | undefined;
}

export class ArchfarmError extends Error {
  static {
    // Logs tell the class of an error, and the agent's one file has short names for classes.
    Object.defineProperty(this, 'name', { value: 'ArchfarmError' });
  }

  override readonly name = 'ArchfarmError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { hint?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }

  get exitStatus(): number {
    return exitStatusOf[this.code];
  }
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(exitStatusOf, text);
}

/** Causes that a message tells; they can go in a circle. */
const maxCauses = 8;

/** Text of anything that was thrown, with the causes that add something. */
export function messageOf(thrown: unknown, causes = maxCauses): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const cause = thrown.cause === undefined || causes === 0 ? '' : messageOf(thrown.cause, causes - 1);
  // Node's AggregateError (a failed connect to several addresses) has an empty message of its own.
  const own = thrown.message || ('code' in thrown ? String(thrown.code) : thrown.name);
  return cause && !own.includes(cause) ? `${own}: ${cause}` : own;
}

/** Characters of a text that travels: an engine may quote a whole script in an error. */
const maxText = 64 * 1024;

/** The beginning of a text that is too long to travel. */
export function clipText(text: string): string {
  return text.length <= maxText ? text : `${text.slice(0, maxText - 1)}…`;
}

/** What was thrown, as it travels. Errors that are not ours become `fallback`. */
export function toErrorInfo(thrown: unknown, fallback: ErrorCode = 'internal'): ErrorInfo {
  if (!(thrown instanceof ArchfarmError)) return { code: fallback, message: clipText(messageOf(thrown)) };
  const { code, message, hint } = thrown;
  return { code, message: clipText(message), ...(hint === undefined ? {} : { hint: clipText(hint) }) };
}

export function fromErrorInfo(info: ErrorInfo): ArchfarmError {
  return new ArchfarmError(info.code, info.message, { hint: info.hint });
}

/** The `code` of a Node system error (`ENOENT`, `ECONNREFUSED` …), if it has one. */
export function systemCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}

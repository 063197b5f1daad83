/** Everything that can go wrong with a request to a registry, as one error that knows whether to try again. */
import { STATUS_CODES } from 'node:http';
import * as v from 'valibot';
import { ArchfarmError, messageOf, systemCode, type ErrorCode } from '../../shared/errors.ts';
import type { Endpoint } from './endpoint.ts';

export class RegistryError extends ArchfarmError {
  /** Absent when there was no answer. */
  readonly status: number | undefined;
  /** The same request may succeed later. */
  readonly temporary: boolean;
  /** Milliseconds that the registry asked to wait. */
  readonly retryAfter: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      hint?: string | undefined;
      cause?: unknown;
      status?: number;
      temporary?: boolean;
      retryAfter?: number | undefined;
    } = {},
  ) {
    super(code, message, options);
    this.status = options.status;
    this.temporary = options.temporary ?? false;
    this.retryAfter = options.retryAfter;
  }
}

/** What a failure is about. */
export interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly endpoint: Endpoint;
}

/** Of an answer's body, this much is shown. */
const maxShown = 2 * 1024;
const temporaryStatus = new Set([408, 429, 499]);
const certificateCodes =
  /^(CERT_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|ERR_TLS_CERT|HOSTNAME_MISMATCH)/;
/** Failures that an unchanged second try cannot mend; all others of the network are taken as passing. */
const permanentCodes = /^(ENOTFOUND|ERR_SSL_|EPROTO|UND_ERR_INVALID_ARG|UND_ERR_NOT_SUPPORTED)/;

/** No answer came, or it broke off. */
export function networkFailure(asked: Asked, cause: unknown): RegistryError {
  const code = deepestCode(cause);
  const { host } = asked.endpoint;
  const what = `${asked.method} ${redact(asked.url)}`;
  if (certificateCodes.test(code)) {
    return new RegistryError(
      'registry-unreachable',
      `registry ${host} shows a certificate that is not trusted: ${what}: ${messageOf(cause)}`,
      { cause, hint: 'NODE_EXTRA_CA_CERTS=FILE makes the certificate authority in FILE trusted' },
    );
  }
  const hint =
    code === 'EPROTO' || code === 'ERR_SSL_WRONG_VERSION_NUMBER'
      ? `if ${host} speaks plain http, declare it: --insecure-registry ${host}`
      : `check the name and port of ${host}, and that it can be reached from here`;
  return new RegistryError(
    'registry-unreachable',
    `registry ${host} cannot be reached: ${what}: ${messageOf(cause)}`,
    { cause, hint, temporary: !permanentCodes.test(code) },
  );
}

/** The registry answered, but not with what was wanted. `access` completes "… was denied". */
export function unexpectedAnswer(
  asked: Asked,
  answer: { status: number; body: Buffer; retryAfter?: string | undefined; access: string },
): RegistryError {
  const { status } = answer;
  const diagnostics = diagnosticsOf(answer.body);
  const line = `${asked.method} ${redact(asked.url)}: ${status} ${STATUS_CODES[status] ?? ''}`.trimEnd();
  const full = diagnostics === '' ? line : `${line}: ${diagnostics}`;
  if (status === 401 || status === 403) {
    return new RegistryError('registry-denied', `${answer.access} was denied: ${full}`, {
      status,
      hint: `sign in with "docker login ${asked.endpoint.host}" as the user whose credentials are used, and check that user's rights`,
    });
  }
  return new RegistryError('registry-error', `registry ${asked.endpoint.host} failed: ${full}`, {
    status,
    temporary: temporaryStatus.has(status) || status >= 500,
    retryAfter: parseRetryAfter(answer.retryAfter),
  });
}

/** The registry's answer cannot be used. */
export function badAnswer(asked: Asked, what: string): RegistryError {
  return new RegistryError(
    'registry-error',
    `registry ${asked.endpoint.host}: ${asked.method} ${redact(asked.url)}: ${what}`,
  );
}

/** Without query and user: upload locations and CDN addresses carry signatures there. */
function redact(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

const errorBody = v.object({
  errors: v.array(v.object({ code: v.optional(v.string()), message: v.optional(v.string()) })),
});

/** The registry's own words on one line; control characters would reach somebody's terminal. */
function diagnosticsOf(body: Buffer): string {
  const text = body.toString('utf8');
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), errorBody), text);
  const said = parsed.success
    ? parsed.output.errors.map(({ code, message }) => [code, message].filter(Boolean).join(': ')).join('; ')
    : text;
  return said
    .replace(/[\s\p{C}]+/gu, ' ')
    .trim()
    .slice(0, maxShown);
}

/** Both forms, seconds and a date; milliseconds from now. */
function parseRetryAfter(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const milliseconds = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(milliseconds) ? undefined : Math.max(0, milliseconds);
}

function deepestCode(thrown: unknown): string {
  const inner = thrown instanceof Error && thrown.cause !== undefined ? deepestCode(thrown.cause) : '';
  return inner || (systemCode(thrown) ?? '');
}

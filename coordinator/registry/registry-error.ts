/** Everything that can go wrong with a request to a registry, as one error that knows whether to try again. */
import { STATUS_CODES } from 'node:http';
import * as v from 'valibot';
import { ArchfarmError, messageOf, systemCode, type ErrorCode } from '../../shared/errors.ts';
import { Mask } from '../../shared/mask/mask.ts';
import type { Endpoint } from './endpoint.ts';
import { said } from './said.ts';
import { clientCertificateHint, tlsFailure } from './tls-failure.ts';

export class RegistryError extends ArchfarmError {
  /** Absent when there was no answer. */
  readonly status: number | undefined;
  /** The same request may succeed later. */
  readonly temporary: boolean;
  /** Milliseconds that the registry asked to wait. */
  readonly retryAfter: number | undefined;
  /** The registry's own, `NAME_UNKNOWN`; empty when it gave none. */
  readonly registryCodes: readonly string[];
  /** Of the content that its answer speaks of. */
  readonly digests: readonly string[];
  /** What the registry says that it has written, where that is not what it was given: a digest. */
  readonly stored: string | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      hint?: string | undefined;
      cause?: unknown;
      status?: number;
      temporary?: boolean;
      retryAfter?: number | undefined;
      registryCodes?: readonly string[];
      digests?: readonly string[];
      stored?: string | undefined;
    } = {},
  ) {
    super(code, message, options);
    this.status = options.status;
    this.temporary = options.temporary ?? false;
    this.retryAfter = options.retryAfter;
    this.registryCodes = options.registryCodes ?? [];
    this.digests = options.digests ?? [];
    this.stored = options.stored;
  }

  /** The same failure, of which its catcher knows that the work may succeed when it is begun anew. */
  passing(): RegistryError {
    return this.#as({ temporary: true });
  }

  /** The same failure, after all the tries that it deserves. */
  final(): RegistryError {
    return this.#as({ temporary: false });
  }

  #as({ temporary }: { temporary: boolean }): RegistryError {
    const { code, message, hint, cause, status, registryCodes, digests, stored } = this;
    const known = { hint, cause, registryCodes, digests, stored, temporary };
    return new RegistryError(code, message, status === undefined ? known : { ...known, status });
  }
}

/** What a failure is about. */
export interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly endpoint: Endpoint;
}

const temporaryStatus = new Set([408, 429, 499]);
/** Failures that an unchanged second try cannot mend; all others of the network are taken as passing. */
const permanentCodes = /^(ENOTFOUND|ERR_SSL_|EPROTO|UND_ERR_INVALID_ARG|UND_ERR_NOT_SUPPORTED)/;

/** No answer came, or it broke off. */
export function networkFailure(asked: Asked, cause: unknown): RegistryError {
  const code = deepestCode(cause);
  const host = hostOf(asked);
  const what = `${asked.method} ${redact(asked.url)}`;
  const refused = tlsFailure(code, host);
  if (refused !== undefined) {
    return new RegistryError(
      'registry-unreachable',
      `registry ${host} ${refused.what}: ${what}: ${tlsReason(messageOf(cause))}`,
      { cause, hint: refused.hint },
    );
  }
  return new RegistryError(
    'registry-unreachable',
    `registry ${host} cannot be reached: ${what}: ${messageOf(cause)}`,
    { cause, hint: reachHint(asked, code), temporary: !permanentCodes.test(code) },
  );
}

/** OpenSSL writes THREAD:error:NUMBER:LIBRARY:FUNCTION:REASON:FILE:LINE. */
function tlsReason(message: string): string {
  return /:error:[0-9A-F]+:[^:]*:[^:]*:([^:]+):/.exec(message)?.[1] ?? message;
}

function reachHint(asked: Asked, code: string): string {
  const host = hostOf(asked);
  if (code === 'EPROTO' || code === 'ERR_SSL_WRONG_VERSION_NUMBER') {
    return `if ${host} speaks plain http, declare it: --insecure-registry ${host}`;
  }
  const check = `check the name and port of ${host}, and that it can be reached from here`;
  // A TLS 1.3 server looks at the client's certificate after the handshake, and many only hang up then.
  return code === 'UND_ERR_SOCKET' && asked.url.protocol === 'https:'
    ? `${check}; ${clientCertificateHint(host)}`
    : check;
}

export interface UnexpectedAnswer {
  readonly status: number;
  readonly body: Buffer;
  readonly retryAfter?: string | undefined;
  /** Completes "… was denied". */
  readonly access: string;
  /** What the request was signed with: an answer may repeat it, an error must not. */
  readonly credentials: readonly (string | undefined)[];
  /** Undefined where nobody has looked for credentials. */
  readonly signIn?: SignInAttempt | undefined;
}

export interface SignInAttempt {
  /** Of Docker's `config.json`. */
  readonly directory: string;
  /** Whether it has credentials for this registry. */
  readonly found: boolean;
}

/** The registry answered, but not with what was wanted. */
export function unexpectedAnswer(asked: Asked, answer: UnexpectedAnswer): RegistryError {
  const { status } = answer;
  const { diagnostics, registryCodes } = saidIn(answer.body, maskOf(answer.credentials));
  const line = `${asked.method} ${redact(asked.url)}: ${status} ${STATUS_CODES[status] ?? ''}`.trimEnd();
  const full = diagnostics === '' ? line : `${line}: ${diagnostics}`;
  if (status === 401 || status === 403) {
    return new RegistryError('registry-denied', `${answer.access} was denied: ${full}`, {
      status,
      registryCodes,
      hint: deniedHint(asked.endpoint.host, answer.signIn),
    });
  }
  return new RegistryError('registry-error', `registry ${asked.endpoint.host} failed: ${full}`, {
    status,
    registryCodes,
    digests: answer.body.toString('latin1').match(/\bsha256:[0-9a-f]{64}\b/g) ?? [],
    temporary: temporaryStatus.has(status) || status >= 500,
    retryAfter: parseRetryAfter(answer.retryAfter),
    hint: speaksTls.test(diagnostics) ? tlsHint(asked) : laterHint(status, asked.endpoint.host),
  });
}

/** For what was tried again, in vain. */
function laterHint(status: number, host: string): string | undefined {
  if (status === 429)
    return `${host} limits how much it is asked: wait, or sign in as somebody who may ask more`;
  return status >= 500
    ? `${host} has a fault of its own, of which its log may say more: try again later`
    : undefined;
}

function deniedHint(host: string, signIn: SignInAttempt | undefined): string {
  const login = `"docker login ${host}"`;
  if (signIn === undefined) {
    return `sign in with ${login} as the user whose credentials are used, and check that user's rights`;
  }
  const { directory, found } = signIn;
  return found
    ? `these were the credentials for ${host} of ${directory}: check that user's rights, or sign in anew with ${login}`
    : `there are no credentials for ${host} in ${directory}: sign in with ${login}, or name another directory with --registry-config`;
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

/** The registry's own words. */
function saidIn(body: Buffer, mask: Mask): { diagnostics: string; registryCodes: string[] } {
  const text = body.toString('utf8');
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), errorBody), text);
  const errors = parsed.success ? parsed.output.errors : [];
  const words = parsed.success
    ? errors.map(({ code, message }) => [code, message].filter(Boolean).join(': ')).join('; ')
    : text;
  return { diagnostics: said(mask.text(words)), registryCodes: errors.flatMap(({ code }) => code ?? []) };
}

/** Of `Authorization` headers and bare tokens. */
function maskOf(credentials: UnexpectedAnswer['credentials']): Mask {
  const mask = new Mask();
  for (const credential of credentials) {
    const [, scheme, value = credential ?? ''] = /^(Basic|Bearer) (.*)$/s.exec(credential ?? '') ?? [];
    mask.add(value);
    if (scheme === 'Basic')
      mask.add(
        Buffer.from(value, 'base64')
          .toString()
          .replace(/^[^:]*:/, ''),
      );
  }
  return mask;
}

/** What Go and nginx answer to plain http on a TLS port. */
const speaksTls = /HTTP request (was sent )?to (an )?HTTPS/i;

function tlsHint({ endpoint: { host } }: Asked): string {
  return `${host} speaks TLS: leave out --insecure-registry; for a name of this machine, keep its authority in /etc/docker/certs.d/${host}/ca.crt`;
}

/** As references write it where it is the registry itself. */
function hostOf({ url, endpoint }: Asked): string {
  return url.origin === endpoint.origin ? endpoint.host : url.host;
}

/** Both forms, seconds and a date; milliseconds from now. */
function parseRetryAfter(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const milliseconds = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(milliseconds) ? undefined : Math.max(0, milliseconds);
}

/** Of the system or of undici; empty where there is none. */
export function deepestCode(thrown: unknown): string {
  const inner = thrown instanceof Error && thrown.cause !== undefined ? deepestCode(thrown.cause) : '';
  return inner || (systemCode(thrown) ?? '');
}

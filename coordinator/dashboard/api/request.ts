/** Requests to the coordinator that this page came from. */
import type { ErrorInfo } from '../../../shared/errors.ts';
import { asksWho } from '../../trust/asks-who.ts';
import { signOut, token } from './session.ts';

/** What the coordinator answered instead, or that it did not. */
export class RequestError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  /** Of the answer; undefined where there was none. */
  readonly status: number | undefined;

  constructor(
    { code, message, hint }: Pick<ErrorInfo, 'message' | 'hint'> & { readonly code: string },
    status?: number,
  ) {
    super(message);
    this.name = 'RequestError';
    this.code = code;
    this.hint = hint;
    this.status = status;
  }
}

export interface RequestOptions {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
}

/** Throws RequestError for every answer that is not what was asked for. */
export async function request(path: string, options: RequestOptions = {}): Promise<Response> {
  const { method = 'GET', body, signal } = options;
  const headers = new Headers();
  if (token.value !== undefined) headers.set('authorization', `Bearer ${token.value}`);
  if (body !== undefined) headers.set('content-type', 'application/json');
  const answer = await fetch(path, {
    method,
    headers,
    // The certificate of whoever looks is sent as such.
    credentials: 'same-origin',
    cache: 'no-store',
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  }).catch((error: unknown) => {
    if (signal?.aborted === true) throw error;
    throw new RequestError({
      code: 'coordinator-unreachable',
      message: 'the coordinator does not answer',
      hint: 'is it running, and can this machine reach it?',
    });
  });
  if (answer.ok) return answer;
  const error = await errorOf(answer);
  if (answer.status === 401) signOut(error.message === asksWho ? '' : error.message);
  throw error;
}

/** The page and the API are of one build, so what comes is of the type that was sent. */
export async function getJson<Answer>(path: string, signal?: AbortSignal): Promise<Answer> {
  const answer = await request(path, { signal });
  return answer.json();
}

export async function postJson<Answer>(path: string, body: unknown = {}): Promise<Answer | undefined> {
  const answer = await request(path, { method: 'POST', body });
  return answer.status === 204 ? undefined : answer.json();
}

async function errorOf(answer: Response): Promise<RequestError> {
  const text = await answer.text().catch(() => '');
  try {
    const { error }: { error: ErrorInfo } = JSON.parse(text);
    return new RequestError(error, answer.status);
  } catch {
    const message = `the answer was ${answer.status} ${text}`.trim();
    return new RequestError({ code: 'protocol', message }, answer.status);
  }
}

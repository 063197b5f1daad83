/** One HTTP request as any program makes it, on a connection of its own. */
import http from 'node:http';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import type { TlsTrust } from '../../shared/trust.ts';

export interface HttpAnswer {
  readonly status: number;
  /** Parsed where it is JSON, else the text. */
  readonly body: unknown;
}

export interface HttpOptions {
  readonly method?: string;
  /** Sent as it is when it is text, else as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** For https. */
  readonly trust?: TlsTrust;
}

export function ask(url: URL, options: HttpOptions = {}): Promise<HttpAnswer> {
  const { method = 'GET', body, headers = {}, trust } = options;
  const { request } = url.protocol === 'https:' ? https : http;
  const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  const type = payload === undefined ? {} : { 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const how = { method, agent: false, headers: { ...type, ...headers }, ...trust };
    const outgoing = request(url, how, (answer) => {
      const isJson = answer.headers['content-type']?.startsWith('application/json') === true;
      text(answer).then(
        (said) => resolve({ status: answer.statusCode ?? 0, body: isJson ? JSON.parse(said) : said }),
        reject,
      );
    });
    outgoing.on('error', reject);
    outgoing.end(payload);
  });
}

/** One HTTP request as any program makes it, on a connection of its own. */
import { request } from 'node:http';
import { text } from 'node:stream/consumers';

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
}

export function ask(url: URL, options: HttpOptions = {}): Promise<HttpAnswer> {
  const { method = 'GET', body, headers = {} } = options;
  const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  const type = payload === undefined ? {} : { 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, agent: false, headers: { ...type, ...headers } }, (answer) => {
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

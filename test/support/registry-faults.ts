/** What a registry, or whatever stands before it, may do to one request. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { Hook } from './fault-proxy.ts';

export interface Fault {
  readonly name: string;
  /** A request that meets it once and is sent again does its work. */
  readonly passing: boolean;
  /** Only patience ends the request. */
  readonly hangs?: boolean;
  readonly hook: Hook;
}

/** `elsewhere`: `ADDRESS:PORT` of a server that is not the registry. */
export function registryFaults(elsewhere: string): readonly Fault[] {
  return [
    ...[401, 403, 404, 405, 413].map((status) => says(`${status}`, status, { body: denial })),
    ...[500, 502, 503].map((status) =>
      passing(says(`${status} as HTML`, status, { headers: html, body: page })),
    ),
    passing(says('429 with seconds', 429, { headers: { 'retry-after': '1' } })),
    passing(says('429 with a date', 429, { headers: { 'retry-after': 'Fri, 31 Dec 2100 23:59:59 GMT' } })),
    says('200 as HTML', 200, { headers: html, body: page }),
    ...[200, 201, 202, 204].map((status) => says(`${status} and nothing done`, status)),
    passing(own('reset before', (request) => void request.socket.destroy())),
    passing(
      after('reset after', (answer, response) => {
        answer.resume();
        response.destroy();
      }),
    ),
    passing(
      after('reset within the answer', async (answer, response) => {
        const body = await buffer(answer);
        response.writeHead(answer.statusCode ?? 502, {
          ...answer.headers,
          'content-length': body.length + 100,
        });
        response.write(body.length > 0 ? body : ' ', () => response.destroy());
      }),
    ),
    hanging(own('no answer', () => {})),
    hanging(
      after('a dripping body', (answer, response) => {
        answer.resume();
        response.writeHead(answer.statusCode ?? 502, withoutLength(answer)).write(' ');
        const timer = setInterval(() => response.write(' '), 50);
        response.once('close', () => clearInterval(timer));
      }),
    ),
    hanging(
      after('an endless body', (answer, response) => {
        answer.resume();
        response.writeHead(answer.statusCode ?? 502, withoutLength(answer));
        const more = (): void => {
          while (!response.destroyed && response.write(spaces));
        };
        response.on('drain', more);
        more();
      }),
    ),
    after('another digest', async (answer, response) => {
      const body = await buffer(answer);
      const headers = { ...answer.headers, 'docker-content-digest': `sha256:${'0'.repeat(64)}` };
      response.writeHead(answer.statusCode ?? 502, headers).end(body);
    }),
    after('another body', async (answer, response) => {
      const body = Buffer.from((await buffer(answer)).map((byte) => byte ^ 1));
      response.writeHead(answer.statusCode ?? 502, answer.headers).end(body);
    }),
    located('a relative Location', (location) => `${location.pathname}${location.search}`),
    located('a foreign Location', (location) => `http://${elsewhere}${location.pathname}${location.search}`),
    located('a link-local Location', (location) => `http://169.254.169.254${location.pathname}`),
    located('a Location that is no URL', () => 'http://[::'),
    ...[
      'Bearer realm="http://169.254.169.254/token",service="s"',
      `Bearer realm="http://user:word@${elsewhere}/token",service="s"`,
      'Bearer realm="file:///etc/passwd",service="s"',
      'Bearer realm="",scope="\\"',
      `Negotiate ,,,="${'x'.repeat(4_000)}`,
      'Basic',
    ].map((header) =>
      says(`401 with ${header.slice(0, 50)}`, 401, { headers: { 'www-authenticate': header } }),
    ),
    ...[
      'http://169.254.169.254/latest/meta-data/',
      'http://[fe80::1]/',
      `http://${elsewhere}/secret`,
      'file:///etc/passwd',
      '',
    ].map((location) => says(`307 to ${location || 'itself'}`, 307, { headers: { location } })),
  ];
}

const denial = '{"errors":[{"code":"DENIED","message":"on purpose"}]}';
const html = { 'content-type': 'text/html' };
const page = '<html><body>\u001b[31mon purpose</body></html>';
const spaces = Buffer.alloc(64 * 1024, ' ');

type Headers = Readonly<Record<string, string>>;

function own(name: string, answer: (request: IncomingMessage, response: ServerResponse) => void): Fault {
  const hook: Hook = (request, response) => {
    answer(request, response);
    return true;
  };
  return { name, passing: false, hook };
}

function says(
  name: string,
  status: number,
  { headers = {}, body = '' }: { headers?: Headers; body?: string } = {},
): Fault {
  return own(name, (request, response) => {
    request.resume();
    response.writeHead(status, headers).end(body);
  });
}

function after(
  name: string,
  rewrite: (answer: IncomingMessage, response: ServerResponse) => void | Promise<void>,
): Fault {
  return { name, passing: false, hook: () => rewrite };
}

/** Answers without a Location pass as they are. */
function located(name: string, change: (location: URL) => string): Fault {
  return after(name, async (answer, response) => {
    const { location } = answer.headers;
    const headers =
      location === undefined ? answer.headers : { ...answer.headers, location: change(new URL(location)) };
    response.writeHead(answer.statusCode ?? 502, headers).end(await buffer(answer));
  });
}

function passing(fault: Fault): Fault {
  return { ...fault, passing: true };
}

function hanging(fault: Fault): Fault {
  return { ...fault, hangs: true };
}

function withoutLength({ headers }: IncomingMessage): Record<string, string | string[] | undefined> {
  return { ...headers, 'content-length': undefined };
}

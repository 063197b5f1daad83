/** An engine of which only the answers are there, over a real socket. */
import { createServer, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { join } from 'node:path';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

export interface FakeEngine extends AsyncDisposable {
  readonly host: string;
  /** Method and path of each request, in order. */
  readonly asked: readonly string[];
}

export interface Reply {
  /** 0 hangs up. */
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** Hangs up after the body, whatever the headers say. */
  readonly cut?: boolean;
}

/** Text is a reply of status 200. */
export type Answer = string | Reply;

/**
 * By method and path, where `*` is the random part of a container's name. A list gives one answer after the other, and
 * the last again.
 */
export type Answers = Readonly<
  Record<string, Answer | readonly Answer[] | (() => Answer | undefined | Promise<Answer | undefined>)>
>;

export const currentVersion = { 'GET /version': JSON.stringify({ Version: '20.10.24', ApiVersion: '1.41' }) };

export async function startFakeEngine(answers: Answers): Promise<FakeEngine> {
  const directory = await temporaryDirectory();
  const asked: string[] = [];
  const note = (request: IncomingMessage): string => {
    const path = decodeURIComponent(request.url?.replace(/\?.*/, '') ?? '');
    const key = `${request.method} ${path.replace(/(archfarm-\w+-)[\da-f-]{36}/, '$1*')}`;
    asked.push(key);
    return key;
  };
  const answerTo = async (key: string): Promise<Reply> => {
    const times = asked.filter((other) => other === key).length;
    const given = answers[key];
    const answer =
      typeof given === 'function'
        ? await given()
        : isList(given)
          ? (given[times - 1] ?? given.at(-1))
          : given;
    if (typeof answer === 'string') return { status: 200, body: answer };
    return answer ?? { status: 404, body: JSON.stringify({ message: `no ${key}` }) };
  };
  const server = createServer((request, response) => {
    void answerTo(note(request)).then(({ status, headers, body, cut = false }) => {
      if (status === 0) response.destroy();
      else if (cut) response.writeHead(status, headers).write(body ?? '', () => response.destroy());
      else response.writeHead(status, headers).end(body);
    });
  });
  const sockets = new Set<Duplex>();
  server.on('upgrade', (request, socket) => {
    note(request);
    sockets.add(socket);
    socket.on('error', () => {});
    socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
  });
  const path = join(directory.path, 'docker.sock');
  server.listen(path);
  await once(server, 'listening');
  return {
    host: `unix://${path}`,
    asked,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      await directory[Symbol.asyncDispose]();
    },
  };
}

function isList(given: Answers[string] | undefined): given is readonly Answer[] {
  return Array.isArray(given);
}

/** The engine refuses. */
export function refusal(message: string, status = 500): Reply {
  return { status, body: JSON.stringify({ message }) };
}

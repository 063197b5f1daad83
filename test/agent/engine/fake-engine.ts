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

/** By method and path. Text is the answer; a list gives one after the other, and the last again. */
export type Answers = Readonly<Record<string, string | readonly string[]>>;

export const currentVersion = { 'GET /version': JSON.stringify({ Version: '20.10.24', ApiVersion: '1.41' }) };

export async function startFakeEngine(answers: Answers): Promise<FakeEngine> {
  const directory = await temporaryDirectory();
  const asked: string[] = [];
  const note = (request: IncomingMessage): string => {
    const key = `${request.method} ${request.url?.replace(/\?.*/, '')}`;
    asked.push(key);
    return key;
  };
  const server = createServer((request, response) => {
    const key = note(request);
    const times = asked.filter((other) => other === key).length;
    const answer = answers[key];
    const text = typeof answer === 'string' ? answer : (answer?.[times - 1] ?? answer?.at(-1));
    response.statusCode = text === undefined ? 404 : 200;
    response.end(text ?? JSON.stringify({ message: `no ${key}` }));
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

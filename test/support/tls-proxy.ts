/** TLS before a registry that speaks plain http. */
import { once } from 'node:events';
import { createConnection, type LookupFunction } from 'node:net';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';

export interface TlsProxy extends AsyncDisposable {
  readonly port: number;
}

/** `upstream` is `HOST:PORT`. */
export async function startTlsProxy(
  upstream: string,
  options: TlsOptions,
  onConnection: (socket: TLSSocket) => void = () => {},
): Promise<TlsProxy> {
  const { hostname, port } = new URL(`http://${upstream}`);
  const open = new Set<{ destroy(): unknown }>();
  const server = createServer(options, (socket) => {
    onConnection(socket);
    const onward = createConnection(Number(port), hostname);
    for (const each of [socket, onward]) {
      open.add(each);
      each.on('error', () => {});
      each.on('close', () => {
        open.delete(each);
        socket.destroy();
        onward.destroy();
      });
    }
    socket.pipe(onward).pipe(socket);
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not a TCP server');
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Names and their addresses, as a name server gives them. */
export function lookupOf(names: Readonly<Record<string, string>>): LookupFunction {
  return (hostname, options, callback) => {
    const address = names[hostname];
    if (address === undefined) {
      const error = Object.assign(new Error(`no such host: ${hostname}`), { code: 'ENOTFOUND' });
      return callback(error, '');
    }
    const family = address.includes(':') ? 6 : 4;
    if (options.all === true) callback(null, [{ address, family }]);
    else callback(null, address, family);
  };
}

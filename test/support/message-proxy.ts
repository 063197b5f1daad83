/** Stands between agents and a coordinator, and does to single messages of their control connection what it is told. */
import * as v from 'valibot';
import { WebSocket, type RawData } from 'ws';
import { toBuffer } from '../../shared/channel.ts';
import { limits } from '../../shared/messages.ts';
import { socketServer } from './web-sockets.ts';

/** What is said in the place of a message. */
export type Rewriting = (message: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>;

/** What becomes of a message: it arrives at these times, in milliseconds from now; `[0]` is undisturbed. */
export type Treatment = (type: string) => readonly number[];

export interface MessageProxy extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly address: string;
  /** How many messages of each type came. */
  readonly seen: ReadonlyMap<string, number>;
  treat(treatment: Treatment): void;
  /** All messages from now on; without an argument they stay what they are. */
  rewrite(rewriting?: Rewriting): void;
}

export async function startMessageProxy(coordinator: string): Promise<MessageProxy> {
  const seen = new Map<string, number>();
  let treatment: Treatment = () => [0];
  let rewriting: Rewriting | undefined;

  function relay(from: WebSocket, to: WebSocket, isControl: boolean): void {
    const early: (() => void)[] = [];
    to.once('open', () => early.splice(0).forEach((send) => send()));
    const pass = (data: RawData, binary: boolean): void => {
      const send = (): void => {
        if (to.readyState === WebSocket.OPEN) to.send(data, { binary });
      };
      if (to.readyState === WebSocket.CONNECTING) early.push(send);
      else send();
    };
    from.on('message', (data, binary) => {
      const message = isControl && !binary ? parsed(data) : {};
      const type = typeof message['type'] === 'string' ? message['type'] : '';
      const said =
        rewriting === undefined || type === '' ? data : Buffer.from(JSON.stringify(rewriting(message)));
      seen.set(type, (seen.get(type) ?? 0) + 1);
      for (const late of isControl ? treatment(type) : [0]) {
        // In the order of their coming where nothing is late.
        if (late === 0) pass(said, binary);
        else setTimeout(() => pass(said, binary), late).unref();
      }
    });
    from.on('close', (code, reason) => {
      // Codes that stand for no close frame cannot be sent on.
      if (code >= 3000 || code === 1000 || code === 1012) to.close(code, reason);
      else to.terminate();
    });
    from.on('error', () => to.terminate());
  }

  const server = await socketServer((near, path) => {
    const options = { maxPayload: limits.message, perMessageDeflate: false };
    const far = new WebSocket(`ws://${coordinator}${path}`, options);
    const isControl = path.startsWith('/v1/agent') && !path.startsWith('/v1/agent/');
    relay(near, far, isControl);
    relay(far, near, isControl);
  });
  return {
    address: server.url.host,
    seen,
    treat: (next) => void (treatment = next),
    rewrite: (next) => void (rewriting = next),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function parsed(data: RawData): Record<string, unknown> {
  return v.parse(v.record(v.string(), v.unknown()), JSON.parse(toBuffer(data).toString()));
}

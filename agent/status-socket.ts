/**
 * A socket in the data directory on which the running agent tells how it is: what `archfarm-agent status` reads. Whoever has it
 * is the one agent of that directory.
 */
import { once } from 'node:events';
import { chmod, rename, rm } from 'node:fs/promises';
import { createServer, connect, type Server } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import * as v from 'valibot';
import { delay } from '../shared/abort.ts';
import { check } from '../shared/codec.ts';
import { storeUsageSchema } from '../shared/context/store-usage.ts';
import { ArchfarmError, messageOf, systemCode } from '../shared/errors.ts';
import { silentLogger, type Logger } from '../shared/log.ts';
import { lacksRoom } from './disk-watch.ts';

const statusSchema = v.object({
  pid: v.number(),
  version: v.string(),
  name: v.string(),
  coordinator: v.string(),
  connected: v.boolean(),
  error: v.string(),
  state: v.picklist(['ready', 'draining', 'cordoned']),
  reason: v.optional(v.string()),
  platforms: v.array(v.object({ platform: v.string(), native: v.boolean() })),
  slots: v.number(),
  jobs: v.array(v.object({ attempt: v.string(), image: v.string(), seconds: v.number() })),
  unsettled: v.number(),
  contexts: v.optional(storeUsageSchema),
  reclaimed: v.optional(v.object({ images: v.number(), cacheBytes: v.number(), at: v.number() })),
});

export type AgentStatus = v.InferOutput<typeof statusSchema>;

function pathIn(data: string): string {
  return join(data, 'status.sock');
}

/** Throws `config` where another agent runs on this data directory: they would share a journal. */
export async function requireUnused(data: string): Promise<void> {
  if (!(await isListening(pathIn(data)))) return;
  const other = await readStatus(data).catch(() => undefined);
  const who = other === undefined ? 'another agent' : `agent ${other.name} (pid ${other.pid})`;
  throw new ArchfarmError('config', `${who} runs on ${data}`, {
    hint: 'stop it, or give this agent another directory with --data',
  });
}

export interface StatusServerOptions {
  readonly log?: Logger;
  /** Milliseconds until a socket is tried again that the file system has no room for. */
  readonly again?: number;
}

/**
 * Makes this agent the one of the data directory: to be called before anything in there is opened. Throws `config` where another
 * one is. A file system that has no room for a socket keeps nobody from work: it is there as soon as there is some.
 */
export async function serveStatus(
  data: string,
  status: () => AgentStatus,
  { log = silentLogger, again = 5_000 }: StatusServerOptions = {},
): Promise<AsyncDisposable> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(JSON.stringify(status()));
  });
  const stop = new AbortController();
  const trouble = await listenAlone(server, data);
  const listening = trouble === undefined ? Promise.resolve() : keepTrying();
  if (trouble !== undefined)
    log.warn({ reason: messageOf(trouble) }, 'the agent cannot be asked for its status');

  async function keepTrying(): Promise<void> {
    while (!server.listening) {
      await delay(again, stop.signal);
      await listenAlone(server, data);
    }
  }
  listening.catch((error: unknown) => {
    if (!stop.signal.aborted) log.error({ err: error }, 'the agent will not answer for its status');
  });
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await listening.catch(() => {});
      if (!server.listening) return;
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

/** Gives why there is no room for a socket. Throws `config` where another agent is. */
async function listenAlone(server: Server, data: string): Promise<Error | undefined> {
  const path = pathIn(data);
  for (;;) {
    try {
      await listen(server, path);
      await chmod(path, 0o600);
      return undefined;
    } catch (error) {
      if (error instanceof Error && lacksRoom(error)) return error;
      if (systemCode(error) !== 'EADDRINUSE') throw error;
      await requireUnused(data);
      await removeDead(path);
    }
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      server.off('error', settle).off('listening', settle);
      if (error === undefined) resolve();
      else reject(error);
    };
    server.once('error', settle).once('listening', settle).listen(path);
  });
}

/** By a rename: of several that found it dead, one alone gets it, and none takes what another has put there since. */
async function removeDead(path: string): Promise<void> {
  const aside = `${path}.${process.pid}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return;
    throw error;
  }
  if (await isListening(aside)) await rename(aside, path);
  else await rm(aside, { force: true });
}

/** Also of a process that takes no connection for now, or stands still. */
async function isListening(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    return systemCode(error) === 'EAGAIN';
  } finally {
    socket.destroy();
  }
}

/** Throws `agent-lost` where no agent runs on this data directory, or one that does not answer. */
export async function readStatus(data: string, { timeout = 5000 } = {}): Promise<AgentStatus> {
  const socket = connect(pathIn(data));
  const late = setTimeout(() => socket.destroy(new Error(`no answer in ${timeout / 1000} s`)), timeout);
  try {
    return check(statusSchema, Buffer.from(await text(socket)));
  } catch (cause) {
    throw new ArchfarmError('agent-lost', `no agent runs on ${data}: ${messageOf(cause)}`, {
      hint: 'start it with `archfarm-agent run`, or name its directory with --data',
      cause,
    });
  } finally {
    clearTimeout(late);
  }
}

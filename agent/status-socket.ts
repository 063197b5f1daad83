/** A socket in the data directory on which the running agent tells how it is: what `archfarm-agent status` reads. */
import { chmod, rm } from 'node:fs/promises';
import { createServer, connect, type Server } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import * as v from 'valibot';
import { check } from '../shared/codec.ts';
import { storeUsageSchema } from '../shared/context/store-usage.ts';
import { ArchfarmError, messageOf } from '../shared/errors.ts';

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
  const other = await readStatus(data).catch(() => undefined);
  if (other === undefined) return;
  throw new ArchfarmError('config', `agent ${other.name} (pid ${other.pid}) runs on ${data}`, {
    hint: 'stop it, or give this agent another directory with --data',
  });
}

export async function serveStatus(data: string, status: () => AgentStatus): Promise<AsyncDisposable> {
  const path = pathIn(data);
  const server: Server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(JSON.stringify(status()));
  });
  // It belongs to a dead process: `requireUnused` has asked.
  await rm(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  await chmod(path, 0o600);
  return {
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
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

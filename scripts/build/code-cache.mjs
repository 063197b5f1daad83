/**
 * What V8 makes of the program while an image is built and while a list is pushed, kept for the next start. The coordinator
 * and the registry that it talks to are none: they answer as those would that have everything.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { WebSocketServer } from 'ws';
import { createWarmRegistry, listOf } from './warm-registry.mjs';

const run = promisify(execFile);
const name = 'registry.example/warm-up';
const build = 'warm-up';
const digest = `sha256:${'0'.repeat(64)}`;

/** Writes `archfarm-program.code` and `archfarm-registry.code` into the directory that has the built commands. */
export async function writeCodeCache(dist) {
  const scratch = await mkdtemp(`${tmpdir()}/archfarm-build-`);
  const coordinator = await startCoordinator();
  try {
    const context = `${scratch}/context`;
    await mkdir(`${context}/app`, { recursive: true });
    await writeFile(`${context}/Dockerfile`, 'FROM scratch\nCOPY app /app\n');
    await writeFile(`${context}/.dockerignore`, '**/*.pyc\n!app/kept.pyc\n');
    await writeFile(`${context}/app/main.py`, 'print()\n');
    const env = {
      PATH: process.env.PATH,
      HOME: scratch,
      XDG_CACHE_HOME: `${scratch}/cache`,
      ARCHFARM_COORDINATOR: coordinator.address,
    };
    const recorder = fileURLToPath(new URL('record-code.cjs', import.meta.url));
    const record = (...args) =>
      run(process.execPath, ['--require', recorder, `${dist}/archfarm.js`, ...args], {
        cwd: scratch,
        env,
        timeout: 60_000,
      });
    await record('build', context, '-t', name, '--platform', 'linux/amd64');
    await writeFile(`${scratch}/list.yaml`, listOf(coordinator.address));
    await record('push', 'from-spec', `${scratch}/list.yaml`);
  } finally {
    coordinator.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

async function startCoordinator() {
  const registry = createWarmRegistry();
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/v2/')) void registry(request, response);
    else if (request.resume().method === 'POST') response.end(JSON.stringify({ build }));
    else
      response.end(
        frames()
          .map((frame) => `${JSON.stringify(frame)}\n`)
          .join(''),
      );
  });
  const sockets = new WebSocketServer({ server });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${server.address().port}`,
    close() {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      server.close();
      server.closeAllConnections();
    },
  };
}

function frames() {
  const time = Date.now();
  const task = { time, build, platform: 'linux/amd64', agent: 'a' };
  const step = { ...task, type: 'step', step: 's1', name: 'COPY app /app' };
  const result = {
    build,
    name: 'context',
    status: 'succeeded',
    created: time,
    'image.name': name,
    tags: [name],
    'containerimage.digest': digest,
    'containerimage.descriptor': { mediaType: 'application/json', digest, size: 1 },
    context: { digest, files: 1, bytes: 1, sentBytes: 0 },
    platforms: [],
    timings: { total: 1 },
  };
  return [
    { ...task, type: 'state', state: 'running', attempt: 1, native: true },
    { ...step, status: 'started' },
    { ...step, status: 'done', duration: 1 },
    { ...task, type: 'state', state: 'pushed' },
    { time, build, type: 'publish', action: 'tag', reference: name, digest },
    { time, build, type: 'result', result },
  ].map((frame, index) => ({ seq: index + 1, ...frame }));
}

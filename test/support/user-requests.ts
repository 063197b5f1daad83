/** What users ask of a running coordinator, each by a token of its own. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { WebSocket } from 'ws';
import { ContextUpload } from '../../coordinator/cli/context-upload.ts';
import { webSocketUrl } from '../../shared/address.ts';
import { sampleSpec } from './farm-fixtures.ts';
import type { HttpAnswer, HttpOptions } from './http-request.ts';
import { dir, memoryTree } from './memory-tree.ts';
import { testToken, type RunningCoordinator } from './running-coordinator.ts';

const tree = memoryTree(dir(['Dockerfile', 'FROM scratch\n']));
export const onap = 'localhost:5000/onap/py-app:latest';
const refusal = v.object({
  error: v.object({ code: v.string(), message: v.string(), hint: v.optional(v.string()) }),
});

/** It waits for an agent for as long as any test may take. */
export function specOf(tag = onap): object {
  const root = { root: tree.root, name: 'c' };
  const context = { ...root, files: 1, bytes: 1 };
  return sampleSpec({ tags: [tag], context, dockerfile: root, waitAgent: 3_600_000 });
}

export async function askAs(
  running: RunningCoordinator,
  [method, path, body]: readonly [method: string, path: string, body?: unknown],
  token: string | undefined,
): Promise<HttpAnswer> {
  const options: HttpOptions = {
    method,
    body,
    headers: { authorization: token === undefined ? '' : `Bearer ${token}` },
  };
  return running.ask(path, options);
}

export async function addUser(
  running: RunningCoordinator,
  name: string,
  { role, repositories = [] }: { role: string; repositories?: readonly string[] },
): Promise<string> {
  const { status, body } = await askAs(
    running,
    ['POST', '/v1/users', { name, role, repositories }],
    testToken,
  );
  assert.is(status, 201, JSON.stringify(body));
  return v.parse(v.object({ token: v.string() }), body).token;
}

/** A build that is queued, since nobody builds here. */
export async function submit(running: RunningCoordinator, token: string, tag = onap): Promise<string> {
  const link = randomBytes(12).toString('base64url');
  const upload = new ContextUpload({ coordinator: running.url, token, link, source: tree });
  try {
    const { status, body } = await askAs(running, ['POST', '/v1/builds', { spec: specOf(tag), link }], token);
    assert.is(status, 201, JSON.stringify(body));
    return v.parse(v.object({ build: v.string() }), body).build;
  } finally {
    await upload.close();
  }
}

/** The status of the answer to an upgrade; 101 for a socket, which is closed again. */
export async function upgrade(
  running: RunningCoordinator,
  path: string,
  token: string | undefined,
): Promise<number> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const socket = new WebSocket(webSocketUrl(running.url, path), { headers });
  socket.on('error', () => {});
  return new Promise((resolve) => {
    socket.once('unexpected-response', (_request, answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    socket.once('open', () => {
      socket.terminate();
      resolve(101);
    });
  });
}

export function assertForbidden({ status, body }: HttpAnswer, words: readonly string[], what: string): void {
  assert.is(status, 403, `${what}: ${JSON.stringify(body)}`);
  const { error } = v.parse(refusal, body);
  assert.is(error.code, 'forbidden');
  for (const word of words) assert.ok(error.message.includes(word), `${what}: ${error.message}`);
  assert.ok(error.hint);
}

/** What needs a build of one's own, or the role admin. */
export const ownRequests: Record<string, readonly [method: string, path: string, body?: unknown]> = {
  'supply-secrets': ['PUT', '/v1/builds/BUILD/secrets', {}],
  complete: ['POST', '/v1/builds/BUILD/complete'],
  retry: ['POST', '/v1/builds/BUILD/retry', {}],
  amend: ['POST', '/v1/builds/BUILD/amend', { platforms: ['linux/s390x'] }],
  cancel: ['POST', '/v1/builds/BUILD/cancel'],
};

/** The answer as soon as its headers are there. */
export async function begin(url: URL, token: string | undefined): Promise<IncomingMessage> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const outgoing = request(url, { agent: false, headers });
  outgoing.on('error', () => {});
  outgoing.end();
  const [answer]: IncomingMessage[] = await once(outgoing, 'response');
  if (answer === undefined) throw new Error('no answer');
  answer.on('error', () => {});
  return answer;
}

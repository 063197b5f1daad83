import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { rootCertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { exampleFrames, exampleResult } from '../support/frames.ts';
import { httpServer, type Handler } from '../support/http-server.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const main = fileURLToPath(new URL('../../coordinator/main.ts', import.meta.url));

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

type OnChild = (child: ReturnType<typeof spawn>) => void;

/** Runs `archfarm` as a user does; `onStdout` sees its process at the first output, `onStart` at once. */
async function archfarm(
  command: string,
  options: { env?: Record<string, string>; onStart?: OnChild; onStdout?: OnChild } = {},
): Promise<Outcome> {
  const child = spawn(process.execPath, [...process.execArgv, main, ...command.split(' ').filter(Boolean)], {
    env: { PATH: process.env['PATH'], HOME: '/nonexistent', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const { onStart, onStdout } = options;
  onStart?.(child);
  if (onStdout !== undefined) child.stdout.once('data', () => onStdout(child));
  await once(child, 'close');
  return { status: child.exitCode, stdout, stderr };
}

/** A coordinator that knows one build and two agents. */
const coordinator: Handler = (request, response) => {
  if (request.headers.authorization !== 'Bearer right') {
    response.writeHead(401).end('{"error":{"code":"unauthorized","message":"wrong token"}}');
  } else if (request.url?.startsWith('/v1/agents') === true) {
    const agent = { slots: 2, busy: 1, state: 'ready', labels: { room: 'lab' }, version: '0.1.0' };
    const contexts = { bytes: 1.2e9, maxBytes: 2e9, hits: 1, hitBytes: 979, misses: 1, missBytes: 21 };
    const agents = [
      { ...agent, name: 'a', platforms: [{ platform: 'linux/amd64', native: true }], contexts },
      { ...agent, name: 'b\u001B[2J', platforms: [{ platform: 'linux/arm64/v8', native: false }] },
    ];
    response.end(JSON.stringify({ agents }));
  } else if (request.url?.startsWith('/v1/store') === true) {
    const contexts = { bytes: 640, maxBytes: 2e9, hits: 0, hitBytes: 0, misses: 0, missBytes: 0 };
    response.end(JSON.stringify({ contexts }));
  } else if (request.url?.includes('/events') === true) {
    const after = Number(/after=(\d+)/.exec(request.url)?.[1]);
    const frames = exampleFrames.filter(({ seq }) => seq > after);
    response.end(frames.map((frame) => `${JSON.stringify(frame)}\n`).join(''));
  } else if (request.url?.startsWith('/v1/builds/b') === true) {
    response.end(JSON.stringify(exampleResult));
  } else if (request.url?.startsWith('/v1/builds?') === true) {
    response.end(JSON.stringify({ builds: [exampleResult] }));
  } else {
    response
      .writeHead(404)
      .end('{"error":{"code":"not-found","message":"no such build","hint":"archfarm builds"}}');
  }
};

/** Frames without end. */
const endless: Handler = (request, response) => {
  if (request.url?.includes('/events') !== true) {
    response.end(JSON.stringify(exampleResult));
    return;
  }
  let seq = 0;
  const more = (): void => {
    const frame = { ...exampleFrames[0], seq: ++seq };
    if (!response.destroyed) response.write(`${JSON.stringify(frame)}\n`, more);
  };
  more();
};

test('the version is an answer, and a wrong command line is exit 2', async () => {
  const version = await archfarm('--version');
  assert.is(version.status, 0);
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  assert.equal(await archfarm('biuld'), {
    status: 2,
    stdout: '',
    stderr: "archfarm: unknown command 'biuld'\n  did you mean build?\n",
  });
  assert.equal(await archfarm('agents'), {
    status: 2,
    stdout: '',
    stderr:
      'archfarm: this command needs a coordinator\n' +
      '  set --coordinator or ARCHFARM_COORDINATOR; start one with archfarm serve\n',
  });
});

test('what is listed comes as a table, as JSON or as names', async () => {
  await using server = await httpServer(coordinator);
  const env = { ARCHFARM_COORDINATOR: server.url.host, ARCHFARM_TOKEN: 'right' };
  const table = await archfarm('agents', { env });
  assert.equal(table, {
    status: 0,
    stderr: '',
    stdout:
      'NAME  STATE  PLATFORMS                  BUSY  CONTEXTS           VERSION  ALLOWS  LABELS\n' +
      'a     ready  linux/amd64                1/2   1.2 GB, 97 % here  0.1.0    all     room=lab\n' +
      'b     ready  linux/arm64/v8 (emulated)  1/2                      0.1.0    all     room=lab\n' +
      '\ncontexts at the coordinator: 640 B\n',
  });
  assert.is((await archfarm('agents ls --quiet', { env })).stdout, 'a\nb\n');
  const agents: unknown = JSON.parse((await archfarm('agents --json', { env })).stdout);
  assert.ok(Array.isArray(agents) && agents.length === 2);
  assert.match(
    (await archfarm('builds', { env })).stdout,
    /^b1 +py-app +failed +2023-11-14T22:13:20Z +1m05s/m,
  );
  const result: unknown = JSON.parse((await archfarm('show b1 --json', { env })).stdout);
  assert.equal(result, exampleResult);
  assert.match((await archfarm('logs -f b1', { env })).stdout, /^\[linux\/arm64\/v8 2\/2\] 0\.512 one$/m);
  assert.equal(await archfarm('cancel b', { env }), {
    status: 1,
    stdout: '',
    stderr: 'archfarm: build b1 has ended already: it is failed\n',
  });
});

test('the exit status tells a wrong token, a missing build and an absent coordinator apart', async () => {
  await using server = await httpServer(coordinator);
  await using dir = await temporaryDirectory();
  const token = path.join(dir.path, 'token');
  await writeFile(token, 'right\n');
  const at = `--coordinator ${server.url.href}`;
  assert.equal(await archfarm(`agents ${at}`), {
    status: 2,
    stdout: '',
    stderr: 'archfarm: wrong token\n  give its token with --token-file or ARCHFARM_TOKEN\n',
  });
  assert.equal(await archfarm(`show x ${at} --token-file ${token}`), {
    status: 1,
    stdout: '',
    stderr: 'archfarm: no such build\n  archfarm builds\n',
  });
  const absent = await archfarm('agents --coordinator 127.0.0.1:1');
  assert.is(absent.status, 3);
  assert.match(
    absent.stderr,
    /^archfarm: cannot reach the coordinator http:\/\/127\.0\.0\.1:1\/: .*\n  is it running/,
  );
  assert.not.match(absent.stderr, /    at /);
  const debugged = await archfarm('agents --coordinator 127.0.0.1:1', { env: { ARCHFARM_DEBUG: '1' } });
  assert.match(debugged.stderr, /    at /);
});

test('an address without a scheme means TLS beyond this machine, and here where an authority is given', async () => {
  let requests = 0;
  await using server = await httpServer((request, response) => {
    requests += 1;
    return coordinator(request, response);
  });
  const { port } = server.url;
  // Another name of this machine than those of loopback.
  const elsewhere = `0.0.0.0:${port}`;
  const env = { ARCHFARM_TOKEN: 'right' };
  await using dir = await temporaryDirectory();
  const ca = path.join(dir.path, 'ca.crt');
  await writeFile(ca, rootCertificates[0] ?? '');
  for (const flags of [elsewhere, `127.0.0.1:${port} --ca ${ca}`]) {
    const { status, stderr } = await archfarm(`agents --coordinator ${flags}`, { env });
    const [host = ''] = flags.split(' ');
    assert.is(status, 3);
    assert.is(
      stderr,
      `archfarm: the coordinator https://${host}/ speaks no TLS on this port\n` +
        `  archfarm serve --tls makes it speak TLS; write http://${host} if plain http is meant\n`,
    );
  }
  assert.is(requests, 0);

  const inClear = await archfarm('agents', { env: { ...env, ARCHFARM_COORDINATOR: `ws://${elsewhere}` } });
  assert.is(inClear.status, 0);
  assert.ok(requests > 1);
  assert.is(
    inClear.stderr,
    `archfarm: WARNING: the token travels unencrypted to http://${elsewhere}/: ` +
      `https://${elsewhere} is its address where it speaks TLS\n`,
  );
  const silent = [
    archfarm(`agents --quiet --coordinator http://${elsewhere}`, { env }),
    archfarm(`agents --coordinator 127.0.0.1:${port}`, { env }),
    archfarm(`__complete -- --coordinator http://${elsewhere} show b`, { env }),
  ];
  for (const { stderr } of await Promise.all(silent)) assert.is(stderr, '');
  const checks = await archfarm(`doctor --coordinator http://${elsewhere}`, { env });
  assert.is(checks.stderr, '');
  assert.match(checks.stdout, /^warn +token +the token travels unencrypted to /m);
});

test('serve says which data directory it cannot use, and what to do', async () => {
  await using dir = await temporaryDirectory();
  const file = path.join(dir.path, 'file');
  await writeFile(file, '');
  for (const data of [file, path.join(file, 'data')]) {
    const { status, stderr } = await archfarm(`serve --listen 127.0.0.1:0 --data ${data}`);
    assert.is(status, 2, stderr);
    assert.match(
      stderr,
      new RegExp(
        `^archfarm: the data directory ${data} cannot be used: .*\\n  give a directory of your own with --data\\n$`,
      ),
    );
  }
});

test('an interrupt ends a command with 130', async () => {
  await using server = await httpServer((request, response) => {
    if (request.url?.includes('/events') === true) response.write(`${JSON.stringify(exampleFrames[0])}\n`);
    else response.end(JSON.stringify(exampleResult));
  });
  const outcome = await archfarm('logs -f b1', {
    env: { ARCHFARM_COORDINATOR: server.url.host },
    onStdout: (child) => child.kill('SIGINT'),
  });
  assert.is(outcome.status, 130);
  assert.match(outcome.stderr, /^archfarm: interrupted \(SIGINT\)\n$/);
});

test('attach follows a build to its end, and ends as the build did', async () => {
  await using server = await httpServer(coordinator);
  const env = { ARCHFARM_COORDINATOR: server.url.host, ARCHFARM_TOKEN: 'right' };
  const { status, stdout, stderr } = await archfarm('attach b1 --progress plain', { env });
  assert.is(status, 1, stderr);
  assert.is(stdout, '');
  assert.match(stderr, /archfarm: the build failed: linux\/arm64\/v8 failed\n$/);
});

test('attach and logs go on after the event that somebody saw last', async () => {
  await using server = await httpServer(coordinator);
  const env = { ARCHFARM_COORDINATOR: server.url.host, ARCHFARM_TOKEN: 'right' };
  const [{ seq } = { seq: 0 }] = exampleFrames;
  const attached = await archfarm(`attach b1 --progress rawjson --after ${seq}`, { env });
  const logged = await archfarm(`logs b1 --json --after ${seq}`, { env });
  for (const output of [attached.stderr, logged.stdout]) {
    const numbers = [...output.matchAll(/^\{"seq":(\d+)/gm)].map(([, digits]) => Number(digits));
    assert.equal(
      numbers,
      exampleFrames.slice(1).map((frame) => frame.seq),
      output,
    );
  }
  const wrong = await archfarm('attach b1 --after yesterday', { env });
  assert.is(wrong.status, 2);
  assert.match(wrong.stderr, /must be the number of an event/);
});

/** `archfarm attach`, which is interrupted by each of these requests as it comes; the last one is never answered. */
async function interruptedAt(...requests: readonly string[]): Promise<Outcome & { asked: string[] }> {
  let child: ReturnType<typeof spawn> | undefined;
  const asked: string[] = [];
  await using server = await httpServer((request, response) => {
    const name = request.url?.split('?')[0]?.split('/').at(-1) ?? '';
    asked.push(name);
    if (name === 'events') response.write(`${JSON.stringify(exampleFrames[0])}\n`);
    else if (name === 'b1') response.end(JSON.stringify(exampleResult));
    else if (name !== requests.at(-1)) response.writeHead(204).end();
    if (requests.includes(name)) child?.kill('SIGINT');
  });
  const env = { ARCHFARM_COORDINATOR: server.url.host };
  const outcome = await archfarm('attach b1', { env, onStart: (started) => (child = started) });
  return { ...outcome, asked };
}

test('a second interrupt leaves the build to its coordinator, and says how to follow it again', async () => {
  const { status, stderr, asked } = await interruptedAt('events', 'cancel', 'never');
  assert.equal(asked, ['b1', 'events', 'cancel', 'complete']);
  assert.is(status, 130, stderr);
  assert.match(stderr, /archfarm: left build b1 to the coordinator\n {2}archfarm attach b1 follows it\n$/);
});

test('a third interrupt ends the command at once', async () => {
  const { status, asked } = await interruptedAt('events', 'cancel', 'complete');
  assert.equal(asked, ['b1', 'events', 'cancel', 'complete']);
  assert.is(status, 130);
});

test('a reader that closes early is not an error', async () => {
  await using server = await httpServer(endless);
  const outcome = await archfarm('logs -f b1', {
    env: { ARCHFARM_COORDINATOR: server.url.host },
    onStdout: (child) => child.stdout?.destroy(),
  });
  assert.is(outcome.status, 0);
  assert.is(outcome.stderr, '');
});

test.run();

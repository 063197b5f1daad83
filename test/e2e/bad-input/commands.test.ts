/** What users get wrong: each has its own error and exit status, and nobody sees a stack trace. */
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { busyboxBase } from '../../../scripts/rig/base-image.ts';
import { startEmulation } from '../../../scripts/rig/emulation.ts';
import { startEngine } from '../../../scripts/rig/engine.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { archfarm, startArchfarm, type EndedCommand } from '../../support/archfarm-command.ts';
import { isolatedEnv } from '../../support/farm-processes.ts';
import { httpServer } from '../../support/http-server.ts';
import { currentVersion } from '../../agent/engine/fake-engine.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';

const image = ['-t', 'localhost:5000/onap/app'];

/** Files by path below the directory. */
async function write(dir: TemporaryDirectory, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir.path, path)), { recursive: true });
    await writeFile(join(dir.path, path), text);
  }
}

/** Runs `archfarm build` in the directory, with nothing that listens where the coordinator should be. */
async function build(
  dir: TemporaryDirectory,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<EndedCommand> {
  const settings = {
    ...(await isolatedEnv(`${dir.path}/home`)),
    ARCHFARM_COORDINATOR: '127.0.0.1:1',
    ...env,
  };
  return archfarm(['build', ...args], { cwd: dir.path, env: settings });
}

/** Exit status and message are as they should be, nothing was printed as a result, and no line is of a stack. */
function check(ended: EndedCommand, status: number, message: RegExp): void {
  assert.match(ended.stderr, message, ended.stderr);
  assert.is(ended.status, status, ended.stderr);
  assert.is(ended.stdout, '');
  assert.not.match(ended.stderr, /^ +at /m);
}

test('an unknown app name is answered with the nearest one', async () => {
  await using dir = await temporaryDirectory();
  check(
    await build(dir, ['py-ap']),
    2,
    /^archfarm: nothing to build is called py-ap\n  there is no compose\.yaml/,
  );
  const services = 'services:\n  py-app:\n    image: h/py\n    build: .\n  web:\n    build: web\n';
  await write(dir, { 'compose.yaml': services, Dockerfile: 'FROM scratch\n' });
  check(
    await build(dir, ['py-ap']),
    2,
    /^archfarm: nothing to build is called py-ap in .*\n  did you mean py-app\? known: py-app, web\n$/,
  );
  check(await build(dir, ['./nowhere']), 2, /^archfarm: no directory \.\/nowhere\n/);
  check(await build(dir, []), 2, /has several things to build\n  name one: py-app, web\n$/);
});

test('a context without a Dockerfile, or no context, is said by path [D1]', async () => {
  await using dir = await temporaryDirectory();
  await write(dir, { 'app/main.py': '' });
  check(await build(dir, ['app', ...image]), 2, /^archfarm: .*app\/Dockerfile/);
  check(await build(dir, ['app', '-f', 'other/Dockerfile', ...image]), 2, /^archfarm: .*other\/Dockerfile/);
  await write(dir, { 'compose.yaml': 'services:\n  gone:\n    image: h/x\n    build: ./gone\n' });
  check(await build(dir, ['gone']), 2, /^archfarm: the context .*gone is not a directory/);
});

test('a file that may not be read is named', async () => {
  await using dir = await temporaryDirectory();
  await write(dir, { Dockerfile: 'FROM scratch\n', 'secret/key.pem': 'x' });
  await chmod(join(dir.path, 'secret/key.pem'), 0);
  await chmod(dir.path, 0o755);
  const settings = {
    ...process.env,
    HOME: '/nonexistent',
    XDG_CACHE_HOME: '/nonexistent',
    ARCHFARM_COORDINATOR: '127.0.0.1:1',
  };
  const ended = await archfarm(['build', '.', ...image], { cwd: dir.path, env: settings, user: 65534 });
  check(ended, 2, /^archfarm: .*secret\/key\.pem.*(permission denied|EACCES|not readable|cannot be read)/);
});

test('unknown platforms, invalid references and wrong flags are usage errors [R1]', async () => {
  await using dir = await temporaryDirectory();
  await write(dir, { Dockerfile: 'FROM scratch\n' });
  const golden: [args: string[], message: RegExp][] = [
    [
      ['.', ...image, '--platform', 'armv7'],
      /^archfarm: unknown platform "armv7"\n  did you mean linux\/arm\/v7\?\n$/,
    ],
    [['.', ...image, '--platform', 'linux/amd64,constructor'], /^archfarm: unknown platform "constructor"\n/],
    [
      ['.', '-t', 'Onap/App'],
      /^archfarm: invalid image reference "Onap\/App"\n  repository names are lower case\n$/,
    ],
    [['.', '-t', 'a b'], /^archfarm: invalid image reference "a b"\n  the form is /],
    [['.', '-t', `app@sha256:${'0'.repeat(64)}`], /cannot be named by digest/],
    [['.'], /^archfarm: no name for the image of /],
    [['.', ...image, '--secret', 'id=tok,src=nowhere'], /^archfarm: secret tok: cannot read .*nowhere/],
    [
      ['.', ...image, '--secret', 'id=tok,env=NOT_SET'],
      /^archfarm: secret tok: the variable NOT_SET is not set/,
    ],
    [
      ['.', ...image, '--progress', 'loud'],
      /^archfarm: option '--progress <mode>' argument 'loud' is invalid/,
    ],
    [['.', ...image, '--timeout', 'soon'], /^archfarm: .*soon/],
    [
      ['.', ...image, '--platfrom', 'x'],
      /^archfarm: unknown option '--platfrom'\n  did you mean --platform\?\n$/,
    ],
  ];
  for (const [args, message] of golden) check(await build(dir, args), 2, message);
});

test('errors of a project file come with its line [C1, C2]', async () => {
  await using dir = await temporaryDirectory();
  const golden: [yaml: string, message: RegExp][] = [
    ['services:\n  app:\n    build: [\n', /^archfarm: .*compose\.yaml:4:1: /],
    [
      'services:\n  app:\n    image: h/x\n    build:\n      contxt: .\n',
      /^archfarm: .*compose\.yaml:5:7: .*contxt.*\n?.*context/,
    ],
    [
      'services:\n  app:\n    image: h/x\n    build:\n      context: .\n      no_cache: maybe\n',
      /compose\.yaml:6:\d+: .*must be true or false, not maybe/,
    ],
    ['services:\n  app:\n    image: ${WHICH:?say which}\n    build: .\n', /compose\.yaml:3:\d+: .*say which/],
    ['services:\n  app:\n    image: h/x\n', /service app in .*compose\.yaml has no build section/],
  ];
  for (const [yaml, message] of golden) {
    await write(dir, { 'compose.yaml': yaml, Dockerfile: 'FROM scratch\n' });
    check(await build(dir, ['app']), 2, message);
  }
});

test('a coordinator that is away, that is none, or that refuses the token is named', async () => {
  await using dir = await temporaryDirectory();
  await write(dir, { Dockerfile: 'FROM scratch\n' });
  const args = ['.', ...image, '--platform', 'linux/amd64'];
  check(
    await build(dir, args),
    3,
    /archfarm: cannot reach the coordinator http:\/\/127\.0\.0\.1:1\/: connect ECONNREFUSED.*\n  is it running there\?/,
  );
  await using refusing = await httpServer((_request, response) => {
    const error = { code: 'unauthorized', message: 'the coordinator refuses this token' };
    response.writeHead(401).end(JSON.stringify({ error }));
  });
  const env = { ARCHFARM_COORDINATOR: refusing.url.host, ARCHFARM_TOKEN: 'my-wrong-token' };
  const refused = await build(dir, args, env);
  check(
    refused,
    2,
    /archfarm: the coordinator refuses this token\n  give its token with --token-file or ARCHFARM_TOKEN\n$/,
  );
  assert.not.match(refused.stderr, 'my-wrong-token');
  check(
    await build(dir, args, { ...env, ARCHFARM_TOKEN: 'two words' }),
    2,
    /archfarm: ARCHFARM_TOKEN does not hold one token\n/,
  );
  await using website = await httpServer((_request, response) => void response.writeHead(404).end('<html>'));
  check(
    await build(dir, args, { ARCHFARM_COORDINATOR: website.url.host }),
    3,
    /answered with status 404\n  is this the address of an archfarm coordinator\?\n$/,
  );
  check(
    await build(dir, args, { ARCHFARM_COORDINATOR: 'ftp://farm' }),
    2,
    /invalid coordinator address "ftp:\/\/farm"/,
  );
});

test('a stack trace is for those who ask for it', async () => {
  await using dir = await temporaryDirectory();
  const ended = await build(dir, ['nothing'], { ARCHFARM_DEBUG: '1' });
  assert.is(ended.status, 2);
  assert.match(ended.stderr, /^ +at /m);
});

test('a local agent that dies in mid-build ends the build at once, saying so', async () => {
  await using dir = await temporaryDirectory();
  await write(dir, { Dockerfile: 'FROM scratch\n' });
  await using engine = await stallingEngine(dir);
  await using registry = await startRegistry();
  const env = { ...(await isolatedEnv(`${dir.path}/home`)), DOCKER_HOST: engine.host };
  await using command = startArchfarm(['build', '.', '-t', `${registry.host}/onap/app`], {
    cwd: dir.path,
    env,
  });
  await until(() => engine.builds > 0);
  const [agent] = await childrenOf(command.pid);
  assert.ok(agent !== undefined);
  process.kill(agent, 'SIGKILL');
  const start = performance.now();
  const ended = await command.ended;
  check(ended, 3, /archfarm: the local agent ended \(SIGKILL\)\n$/);
  assert.ok(performance.now() - start < 5000, `${Math.round(performance.now() - start)} ms`);
});

test('an image of another architecture than the one asked for is not published', async () => {
  await using dir = await temporaryDirectory();
  await using _emulation = await startEmulation();
  await using registry = await startRegistry();
  await using engine = await startEngine({ name: 'bad' });
  const env = { DOCKER_HOST: engine.host, ARCHFARM_COORDINATOR: '' };
  const base = `${registry.host}/base`;
  const bases = ['--platform', 'linux/amd64,linux/arm64', '--allow-emulation'];
  const made = await build(dir, [await busyboxBase(), '-t', base, ...bases], env);
  assert.is(made.status, 0, made.stderr);
  await write(dir, { Dockerfile: `FROM --platform=linux/arm64 ${base}\nCOPY Dockerfile /\n` });
  const app = `${registry.host}/onap/app`;
  const ended = await build(dir, ['.', '-t', app, '--platform', 'linux/amd64'], env);
  check(
    ended,
    1,
    /archfarm: the build failed: .* was built for linux\/amd64, but its \S+ is a program for linux\/arm64/,
  );
  const asked = await registry.accessLog();
  // Whether it might push is asked before the build.
  assert.not(asked.some((line) => /"(PUT|PATCH) \/v2\/onap\/app\//.test(line)));
});

test('a Dockerfile that is very long is built, and one with a line that no engine takes is refused [D1, D4]', async () => {
  await using dir = await temporaryDirectory();
  await using registry = await startRegistry();
  await using engine = await startEngine({ name: 'long' });
  const stages = Array.from({ length: 10_000 }, (_, index) => `FROM scratch AS s${index}\nCOPY file /\n`);
  await write(dir, {
    file: 'content',
    comments: `FROM scratch\n${`# ${'x'.repeat(100)}\n`.repeat(100_000)}COPY file /\n`,
    stages: `${stages.join('')}FROM s9999\n`,
    argument: `FROM scratch\nARG X=${'x'.repeat(1_000_000)}\nCOPY file /\n`,
  });
  const built = (name: string): Promise<EndedCommand> => {
    const target = ['-f', name, '-t', `${registry.host}/${name}`, '--platform', 'linux/amd64'];
    return build(dir, ['.', ...target], { DOCKER_HOST: engine.host, ARCHFARM_COORDINATOR: '' });
  };
  for (const name of ['comments', 'stages']) {
    const { status, stderr } = await built(name);
    assert.is(status, 0, stderr.slice(-2000));
  }
  check(
    await built('argument'),
    1,
    /the build failed: dockerfile line greater than max allowed size of 65535/,
  );
});

interface StallingEngine extends AsyncDisposable {
  readonly host: string;
  /** Builds that were asked for; none ends. */
  readonly builds: number;
}

/** An engine that says who it is, and never ends a build. */
async function stallingEngine(dir: TemporaryDirectory): Promise<StallingEngine> {
  const answers: Record<string, string> = {
    '/version': currentVersion['GET /version'],
    '/info': JSON.stringify({ OSType: 'linux', Architecture: 'x86_64' }),
  };
  let builds = 0;
  const server: Server = createServer((request, response) => {
    const path = (request.url ?? '').replace(/\?.*/, '');
    if (path === '/build') builds += 1;
    else response.end(answers[path] ?? 'OK');
  });
  const sessions: Duplex[] = [];
  server.on('upgrade', (_request, socket) => {
    sessions.push(socket);
    socket.on('error', () => {});
    socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
  });
  server.listen(join(dir.path, 'engine.sock'));
  await once(server, 'listening');
  return {
    host: `unix://${join(dir.path, 'engine.sock')}`,
    get builds() {
      return builds;
    },
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function childrenOf(pid: number): Promise<number[]> {
  const threads = await readdir(`/proc/${pid}/task`);
  const lists = await Promise.all(
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/children`, 'utf8')),
  );
  return lists.flatMap((list) => list.split(' ').filter(Boolean).map(Number));
}

test.run();

import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine } from '../../../agent/engine/engine.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import type { TaskEvent } from '../../../shared/progress.ts';
import { startEngine } from '../../../scripts/rig/engine.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import { failureOf, runBuild } from './build-rig.ts';
import { busybox, file, hardlink, link, memoryContext, type Contents } from './memory-context.ts';

const rig = await startEngine({ name: 'build' });
const data = await temporaryDirectory();

/** As another run of the agent would have it: nothing but the data directory is kept. */
function engineOf(host = rig.host): Engine {
  return new Engine({ host, environment: {}, dataDirectory: data.path });
}

const from = 'FROM scratch\nCOPY bin /bin\n';

test('says which platform the host has', async () => {
  const info = await engineOf().info(AbortSignal.timeout(10_000));
  assert.is(info.platform.os, 'linux');
  assert.match(info.platform.architecture, /^(amd64|arm64|arm|s390x|ppc64le|riscv64)$/);
});

test('passes arguments, labels and the target on, and builds nothing else', async () => {
  const { image, stdout, events } = await runBuild(engineOf(), {
    contents: busybox,
    dockerfile: `${from.replace('scratch', 'scratch AS base')}
ARG GREETING
RUN printf '%s %s\\n' "$GREETING" "$TARGETARCH"
ARG TARGETARCH
RUN printf '%s\\n' "$TARGETARCH"
FROM base AS broken
RUN false`,
    task: { args: { GREETING: 'hé "quoted" $x' }, labels: { 'org.example': 'a b' }, target: 'base' },
  });
  assert.is(stdout, 'hé "quoted" $x \namd64');
  const inspected = JSON.parse(docker('inspect', image.imageId));
  assert.equal(inspected[0].Config.Labels, { 'org.example': 'a b' });
  assert.equal(inspected[0].RepoTags, []);
  const run = events.filter((event) => event.type === 'step' && event.name.includes('RUN printf'));
  assert.equal(
    run.map((event) => event.type === 'step' && event.status),
    ['started', 'done', 'started', 'done'],
  );
});

test('gives a secret to the step that asks, fails with its own error, and may lack one that is optional', async () => {
  const secret = 'RUN --mount=type=secret,id=token,required=true cat /run/secrets/token';
  const { stdout } = await runBuild(engineOf(), {
    contents: busybox,
    dockerfile: `${from}${secret}\nRUN --mount=type=secret,id=other [ ! -e /run/secrets/other ]`,
    task: { secrets: ['token'] },
    services: { secret: async (id) => Buffer.from(`value of ${id}\n`) },
  });
  assert.is(stdout, 'value of token');
  const failure = await failureOf(
    runBuild(engineOf(), {
      contents: busybox,
      dockerfile: from + secret,
      task: { secrets: ['token'], noCache: true },
    }),
  );
  assert.is(failure.code, 'secret-missing');
});

test('tunnels to an ssh agent', async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, 'agent.sock');
  const agent = createServer((socket) =>
    socket.on('data', () => socket.write(identitiesAnswer('build-key'))),
  );
  agent.listen(path);
  await once(agent, 'listening');
  try {
    const { stdout } = await runBuild(engineOf(), {
      contents: { ...busybox, ...dynamicProgram('/usr/bin/ssh-add') },
      dockerfile: `${from}COPY root /\nRUN --mount=type=ssh /usr/bin/ssh-add -l`,
      task: { ssh: ['default'] },
      services: { ssh: async (id) => connect(id === 'default' ? path : '') },
    });
    assert.match(stdout, /^256 SHA256:\S+ build-key \(ED25519\)$/);
  } finally {
    agent.close();
  }
});

test('of an ssh agent that goes away a step may have gone on without: one that fails later has an error of its own', async () => {
  const gone = 'RUN --mount=type=ssh';
  const runs = {
    // The engine tells of a step with a delay: what begins at once could have been what used the agent.
    'build-failed': `${gone} /usr/bin/ssh-add -l || sleep 3\nRUN exit 3`,
    'client-gone': `${gone} /usr/bin/ssh-add -l`,
  };
  for (const [code, dockerfile] of Object.entries(runs)) {
    const failed = await failureOf(
      runBuild(engineOf(), {
        contents: { ...busybox, ...dynamicProgram('/usr/bin/ssh-add') },
        dockerfile: `${from}COPY root /\n${dockerfile}`,
        task: { ssh: ['default'], noCache: true },
        services: { ssh: async () => closingAgent() },
      }),
    );
    assert.is(failed.code, code, failed.message);
  }
});

test('keeps links, modes, empty files and odd names, and asks for nothing the second time', async () => {
  const contents: Contents = {
    ...busybox,
    'x/a/first': file('linked', { mode: 0o4751 }),
    'x/a/second': hardlink('x/a/first'),
    'x/b/third': hardlink('x/a/first'),
    'x/b/dangling': link('../nowhere'),
    'x/empty': file(''),
    'x/über größe 日本.txt': file('unicode'),
    'x/-dash\nline': file('newline', { mode: 0o600 }),
  };
  const dockerfile = `${from}COPY x /x\nCOPY ["x/über größe 日本.txt", "/y"]
RUN find /x /y -type f | sort | while read -r f; do [ -f "$f" ] && stat -c '%n %a %h %s' "$f"; done; ls -l /x/b/dangling | sed 's/.*\\/x/\\/x/'`;
  const contents2 = { ...contents, 'bin/sed': link('busybox') };
  const first = await runBuild(engineOf(), { contents: contents2, dockerfile, task: { contextKey: 'odd' } });
  assert.equal(first.stdout.split('\n'), [
    '/x/a/first 4751 3 6',
    '/x/a/second 4751 3 6',
    '/x/b/third 4751 3 6',
    '/x/empty 644 1 0',
    '/x/über größe 日本.txt 644 1 7',
    '/y 644 1 7',
    '/x/b/dangling -> ../nowhere',
  ]);
  for (const round of [2, 3, 4]) {
    const again = await runBuild(engineOf(), {
      contents: contents2,
      dockerfile,
      task: { contextKey: 'odd' },
    });
    assert.is(again.image.engineBytes, 0, `build ${round}`);
    assert.is(again.image.imageId, first.image.imageId);
  }
});

test('sees new content under equal size and mtime, and moves nothing for new mtimes alone', async () => {
  const dockerfile = `${from}COPY f /f\nRUN cat /f; stat -c ' %y' /f`;
  const build = (content: string, mtime: bigint): ReturnType<typeof runBuild> =>
    runBuild(engineOf(), {
      contents: { ...busybox, f: file(content, { mtime }) },
      dockerfile,
      task: { contextKey: 'stale', noCache: true },
    });
  assert.is(
    (await build('Q1Q1', 1_000_000_000_000_000_007n)).stdout,
    'Q1Q1 2001-09-09 01:46:40.000000007 +0000',
  );
  const changed = await build('Z9Z9', 1_000_000_000_000_000_007n);
  assert.match(changed.stdout, /^Z9Z9 2001-09-09 01:46:40\.\d{9} \+0000$/);
  assert.is(changed.image.engineBytes, 4);
  const cloned = await build('Z9Z9', 1_500_000_000_000_000_000n);
  assert.is(cloned.stdout, changed.stdout);
  assert.is(cloned.image.engineBytes, 0);
  assert.match((await build('Q1Q1', 1_000_000_000_000_000_007n)).stdout, /^Q1Q1/);
});

test('files of directories with equal contents keep times of their own', async () => {
  const contents: Contents = {
    ...busybox,
    'a/__init__.py': file('', { mtime: 1_000_000_000_000_000_007n }),
    'b/__init__.py': file('', { mtime: 1_100_000_000_000_000_008n }),
    'b/c/__init__.py': file('', { mtime: 1_200_000_000_000_000_009n }),
    'd/c/__init__.py': file('', { mtime: 1_300_000_000_000_000_010n }),
  };
  const { stdout } = await runBuild(engineOf(), {
    contents,
    dockerfile: `${from}COPY . /x/\nRUN find /x -name __init__.py | sort | while read f; do stat -c '%n %y' $f; done`,
    task: { contextKey: 'twins' },
  });
  assert.equal(stdout.split('\n'), [
    '/x/a/__init__.py 2001-09-09 01:46:40.000000007 +0000',
    '/x/b/__init__.py 2004-11-09 11:33:20.000000008 +0000',
    '/x/b/c/__init__.py 2008-01-10 21:20:00.000000009 +0000',
    '/x/d/c/__init__.py 2011-03-13 07:06:40.000000010 +0000',
  ]);
});

test('hands the engine only what the Dockerfile copies, through hundreds of paths and patterns', async () => {
  const names = Array.from({ length: 160 }, (_, index) => `f${index}`);
  // BuildKit of 20.10 itself fails now and then when one COPY has hundreds of sources.
  const copies = Array.from(
    { length: 40 },
    (_, index) => `COPY ${names.slice(4 * index, 4 * index + 4).join(' ')} /x/`,
  );
  const contents: Contents = {
    ...Object.fromEntries(names.map((name) => [name, file(name)])),
    '.dockerignore': file(Array.from({ length: 500 }, (_, index) => `ignored-${index}`).join('\n')),
    'ignored-7': file('x'.repeat(1000)),
    'unused/large': file(Buffer.alloc(3_000_000)),
  };
  const { image } = await runBuild(engineOf(), {
    contents,
    dockerfile: `FROM scratch\n${copies.join('\n')}\n`,
    task: { contextKey: 'many' },
  });
  assert.ok(image.engineBytes < 20_000, String(image.engineBytes));
});

test('reports output in order, in whole lines, also where a character is split', async () => {
  const { events } = await runBuild(engineOf(), {
    contents: busybox,
    dockerfile: `${from}RUN printf 'one\\nh\\303'; sleep 0.3; printf '\\251llo\\n'; for i in 1 2 3; do echo $i; done; printf end`,
    task: { noCache: true },
  });
  const lines = events.flatMap((event) => (event.type === 'log' ? event.text.split('\n') : []));
  assert.equal(lines, ['one', 'héllo', '1', '2', '3', 'end']);
  const step = events.findIndex((event) => event.type === 'step' && event.name.includes('printf'));
  const done = events.findLastIndex((event) => event.type === 'step' && event.name.includes('printf'));
  const log = events.findIndex((event) => event.type === 'log');
  assert.ok(step < log && log < done);
});

test('fails a build whose step fails with what the engine says', async () => {
  const events: TaskEvent[] = [];
  const failure = await failureOf(
    runBuild(engineOf(), {
      contents: busybox,
      dockerfile: `${from}RUN echo no space left on device >&2; exit 3`,
      onEvent: (event) => events.push(event),
    }),
  );
  assert.is(failure.code, 'build-failed');
  assert.match(failure.message, /exit 3.*exit code: 3$/);
  const failed = events.filter((event) => event.type === 'step' && event.status === 'failed');
  assert.is(failed.length, 1);
  assert.ok(events.some((event) => event.type === 'log' && event.stream === 'stderr'));
});

test('fails at once with the error of a context that cannot be read', async () => {
  const context = memoryContext();
  const contents = { ...busybox, f: file('wanted') };
  const tree = context.add(contents);
  const dockerfile = context.add({ Dockerfile: file('FROM scratch\nCOPY f /f') });
  const failure = await failureOf(
    runBuild(engineOf(), {
      dockerfile: '',
      task: {
        context: { ...tree, name: 'x' },
        dockerfile: { ...dockerfile, name: 'Dockerfile' },
        contextKey: 'lost',
      },
      services: {
        context: {
          ...context,
          blob: async (digest, size, signal) => {
            if (size === 6) throw new ArchfarmError('blobs-lost', 'nobody has f any more');
            return context.blob(digest, size, signal);
          },
        },
      },
    }),
  );
  assert.is(failure.code, 'blobs-lost');
});

test('stops the step that runs when it is cancelled', async () => {
  const cancelled = new ArchfarmError('cancelled', 'the user said so');
  const controller = new AbortController();
  const failure = await failureOf(
    runBuild(engineOf(), {
      contents: busybox,
      dockerfile: `${from}RUN echo up; sleep 86461`,
      task: { noCache: true },
      signal: controller.signal,
      onEvent: (event) => event.type === 'log' && controller.abort(cancelled),
    }),
  );
  assert.is(failure, cancelled);
  await until(() => !commandLines().some((line) => line.includes('sleep\x0086461')), {
    what: 'the step has ended',
  });
});

test('builds of one context at once both get their own content', async () => {
  const engine = engineOf();
  const build = (content: string): ReturnType<typeof runBuild> =>
    runBuild(engine, {
      contents: { ...busybox, f: file(content) },
      dockerfile: `${from}COPY f /f\nRUN cat /f`,
      task: { contextKey: 'together', noCache: true },
    });
  const words = ['aaaa', 'bbbb', 'cccc'];
  const runs = await Promise.all(words.map(build));
  assert.equal(
    runs.map((run) => run.stdout),
    words,
  );
});

test('says that the engine is down when it dies under a build', async () => {
  const failure = await failureOf(
    runBuild(engineOf(), {
      contents: busybox,
      dockerfile: `${from}RUN echo up; sleep 86462`,
      task: { noCache: true },
      onEvent: (event) => void (event.type === 'log' && rig.kill('SIGKILL')),
    }),
  );
  assert.is(failure.code, 'engine-down');
  assert.ok(failure.message.includes(rig.host));
});

test('gives its engine back', async () => {
  await rig[Symbol.asyncDispose]();
  await data[Symbol.asyncDispose]();
});

test.run();

function docker(...args: readonly string[]): string {
  return execFileSync('docker', ['-H', rig.host, ...args], { encoding: 'utf8' });
}

function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return '';
      }
    });
}

/** A program of this host with its libraries, below `root/`. */
function dynamicProgram(path: string): Contents {
  const libraries = execFileSync('ldd', [path], { encoding: 'utf8' }).match(/\/\S+/g) ?? [];
  return Object.fromEntries(
    [path, ...libraries].map((source) => [`root${source}`, file(readFileSync(source), { mode: 0o755 })]),
  );
}

/** The tunnel to an ssh agent that is closed on the first question. */
function closingAgent(): Duplex {
  const tunnel: Duplex = new Duplex({
    read() {},
    write(_chunk, _encoding, done) {
      tunnel.push(null);
      done();
    },
  });
  return tunnel;
}

/** What an ssh agent that holds one ed25519 key answers to a question for its keys. */
function identitiesAnswer(comment: string): Buffer {
  const key = Buffer.concat([text(Buffer.from('ssh-ed25519')), text(Buffer.alloc(32, 7))]);
  const identities = Buffer.concat([Buffer.of(12, 0, 0, 0, 1), text(key), text(Buffer.from(comment))]);
  return text(identities);
}

/** As the agent protocol writes them: after their length. */
function text(content: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
}

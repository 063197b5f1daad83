import { execFileSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine } from '../../../agent/engine/engine.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import type { ContextSource } from '../../../shared/context/tree.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import type { TaskEvent } from '../../../shared/progress.ts';
import { startEngine } from '../../../scripts/rig/engine.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { failureOf, runBuild, type BuildSetup } from './build-rig.ts';
import { busybox, file, hardlink, link, memoryContext, type Contents } from './memory-context.ts';

const rig = await startEngine({ name: 'named' });
const data = await temporaryDirectory();
const engine = new Engine({ host: rig.host, environment: {}, dataDirectory: data.path });

const main: Contents = { ...busybox, 'main.txt': file('main') };
const lib: Contents = {
  'a.txt': file('a of lib'),
  'sub/b.txt': file('b of lib', { mode: 0o600 }),
  'sub/again.txt': hardlink('a.txt'),
  link: link('sub/b.txt'),
};
const start = 'FROM scratch AS tools\nCOPY bin /bin\n';

function build(setup: BuildSetup): ReturnType<typeof runBuild> {
  return runBuild(engine, { contents: main, contexts: { lib }, ...setup });
}

function docker(...args: string[]): string {
  return execFileSync('docker', ['-H', rig.host, ...args], { encoding: 'utf8' });
}

test('COPY --from, RUN --mount and FROM see a context and nothing else', async () => {
  const { stdout } = await build({
    dockerfile: `${start}COPY . /main/
COPY --from=lib / /copied/
COPY --from=Lib sub/b.txt /one
RUN --mount=from=lib,target=/mounted cd /mounted && find . | sort && cat link
RUN echo -- && cd /copied && find . | sort && cat a.txt sub/again.txt /one && stat -c '%a %h %n' a.txt sub/b.txt
RUN echo -- && find /main -name '*.txt'
FROM lib AS last
COPY --from=0 bin /bin
RUN echo -- && find / -name '*.txt' | sort
`,
  });
  const files = ['.', './a.txt', './link', './sub', './sub/again.txt', './sub/b.txt'];
  assert.equal(stdout.replaceAll('of liba', 'of lib\na').split('\n').join('|').split('|--|'), [
    [...files, 'b of lib'].join('|'),
    [...files, 'a of lib', 'a of libb of lib644 2 a.txt', '600 1 sub/b.txt'].join('|'),
    '/main/main.txt',
    '/a.txt|/sub/again.txt|/sub/b.txt',
  ]);
});

test('two contexts and a FROM that takes the name from an argument', async () => {
  const { stdout } = await build({
    contexts: { lib, 'web.root': { 'index.html': file('<html>') }, empty: {} },
    dockerfile: `ARG BASE=scratch\n${start}FROM \${BASE}\nCOPY --from=tools / /\nCOPY --from=empty / /\nRUN cat index.html && ls /`,
    task: { args: { BASE: 'web.root' } },
  });
  assert.is(stdout, '<html>bin\ndev\netc\nindex.html\nproc\nsys');
});

test('builds nothing again of what did not change, and leaves no name in the engine', async () => {
  const setup = { dockerfile: `${start}COPY --from=lib / /lib/\nRUN cat /lib/a.txt` };
  const first = await build(setup);
  const second = await build(setup);
  assert.is(second.image.imageId, first.image.imageId);
  const isCached = (event: TaskEvent): boolean =>
    event.type === 'step' && event.name.includes('RUN cat') && event.status === 'cached';
  assert.ok(second.events.some(isCached));
  const edited = await build({ ...setup, contexts: { lib: { ...lib, 'a.txt': file('A of lib') } } });
  assert.is(edited.stdout, 'A of lib');
  assert.not.match(docker('images', '--all'), 'archfarm');
});

test('does not make an image of what the Dockerfile does not name', async () => {
  const { events } = await build({
    contexts: { lib: { broken: link('x'), ...lib }, other: lib },
    dockerfile: 'FROM scratch\nCOPY --from=other / /',
  });
  const loaded = events.flatMap((event) =>
    event.type === 'step' && event.name.includes('[context ') && event.status === 'done' ? [event.name] : [],
  );
  assert.equal(loaded, ['[context other] load from client']);
});

test('says lines and stages as they are in the Dockerfile', async () => {
  const failure = await failureOf(build({ dockerfile: 'FROM scratch\nCOPY --from=lib / /\nFOO bar\n' }));
  assert.is(failure.code, 'build-failed');
  assert.match(failure.message, /line 3: unknown instruction: FOO/);
  const { events } = await build({ dockerfile: 'FROM scratch\nCOPY --from=lib / /x' });
  assert.ok(events.some((event) => event.type === 'step' && event.name.startsWith('[stage-0 1/1] COPY')));
});

test('a failure of a context names it, and leaves nothing behind', async () => {
  const contexts = { lib, other: { 'lost.txt': file('lost') } };
  const dockerfile = 'FROM scratch\nCOPY --from=lib / /\nCOPY --from=other / /';
  const all = memoryContext();
  for (const contents of [main, ...Object.values(contexts), { Dockerfile: file(dockerfile) }])
    all.add(contents);
  const context: ContextSource = {
    directory: (digest, signal) => all.directory(digest, signal),
    async blob(digest, size, signal) {
      if (digest === digestOf(Buffer.from('lost'))) throw new ArchfarmError('blobs-lost', 'nobody has it');
      return all.blob(digest, size, signal);
    },
  };
  const failure = await failureOf(build({ dockerfile, contexts, services: { context } }));
  assert.is(failure.code, 'blobs-lost');
  assert.match(failure.message, /^additional context other: .*nobody has it/);
  assert.not.match(docker('images', '--all'), 'archfarm');
});

test('with --pull a base is pulled, unless the engine has it as its own', async () => {
  const setup: BuildSetup = {
    dockerfile: 'FROM 127.0.0.1:1/nobody/there\nCOPY --from=lib / /lib/',
    task: { pull: true },
  };
  const away = await failureOf(build(setup));
  assert.match(away.message, /127\.0\.0\.1:1\/v2\/nobody\/there.*connection refused/);
  const { image } = await build({
    dockerfile: 'FROM scratch\nCOPY --from=lib / /lib/',
    task: { pull: true },
  });
  docker('tag', image.imageId, '127.0.0.1:1/nobody/there');
  const own = await failureOf(build(setup));
  assert.is(own.code, 'config');
  assert.match(own.message, '127.0.0.1:1/nobody/there:latest is among the images');
  docker('rmi', '127.0.0.1:1/nobody/there');
});

test('removes names that a killed agent left behind a week ago, and none that are in use', async () => {
  const { image } = await build({ dockerfile: 'FROM scratch\nCOPY --from=lib / /x/' });
  const names = [8, 6].map((days) => `127.0.0.1:1/archfarm/context:${Date.now() - days * 86_400_000}-0f-0`);
  for (const name of names) docker('tag', image.imageId, name);
  await build({ dockerfile: 'FROM scratch\nCOPY --from=lib / /x/' });
  assert.equal(
    names.map((name) => docker('images', '--quiet', name).trim() === ''),
    [true, false],
  );
});

test('gives everything back', async () => {
  await rig[Symbol.asyncDispose]();
  await data[Symbol.asyncDispose]();
});

test.run();

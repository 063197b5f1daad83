import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { noAnnotations } from '../../../coordinator/project/annotations.ts';
import { resolvePlan, type PlanFlags, type ResolvedPlan } from '../../../coordinator/project/resolve.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../../support/temporary-directory.ts';

const noFlags: PlanFlags = {
  tags: [],
  platforms: [],
  optional: [],
  agentLabels: {},
  args: {},
  labels: {},
  noCache: false,
  pull: false,
  contexts: [],
  secrets: [],
  ssh: [],
  cacheFrom: [],
  inlineCache: false,
  annotations: noAnnotations,
  childTags: false,
  force: false,
  allowEmulation: false,
  waitAgent: 15_000,
};

const oneService = `
services:
  py-app:
    image: reg.example/onap/py-app
    build:
      context: ./app
      platforms: [arm64, linux/amd64, linux/arm64/v8]
      args: {A: file, B: file}
      labels: {l: file}
      no_cache: true
  redis: {image: redis}
`;

async function project(compose?: string): Promise<TemporaryDirectory> {
  const dir = await temporaryDirectory();
  await mkdir(path.join(dir.path, 'app'));
  if (compose !== undefined) await writeFile(path.join(dir.path, 'compose.yaml'), compose);
  return dir;
}

function resolve(cwd: string, target?: string, flags: Partial<PlanFlags> = {}): Promise<ResolvedPlan> {
  return resolvePlan(target, { ...noFlags, ...flags }, { cwd, environment: {} });
}

test('per-platform may say what is different on an optional platform', async () => {
  await using dir = await project(`
services:
  app:
    image: reg.example/app
    build:
      context: .
      platforms: [linux/amd64]
      x-archfarm:
        optional: [linux/s390x]
        per-platform:
          linux/s390x: {target: small}
`);
  const { plan } = await resolve(dir.path, 'app');
  assert.equal(plan.platforms, ['linux/amd64', 'linux/s390x']);
  assert.equal(plan.perPlatform['linux/s390x']?.target, 'small');
});

async function failure(work: Promise<unknown>): Promise<ArchfarmError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof ArchfarmError) return error;
    throw error;
  }
  throw new Error('did not fail');
}

test('a service becomes a plan with normalized names and platforms', async () => {
  await using dir = await project(oneService);
  const { plan, warnings } = await resolve(path.join(dir.path, 'app'), 'py-app');
  assert.equal(warnings, []);
  assert.is(plan.name, 'py-app');
  assert.equal(plan.tags, ['reg.example/onap/py-app:latest']);
  assert.equal(plan.platforms, ['linux/arm64/v8', 'linux/amd64']);
  assert.equal(plan.context, { type: 'directory', path: path.join(dir.path, 'app') });
  assert.equal(plan.dockerfile, { type: 'file', path: path.join(dir.path, 'app', 'Dockerfile') });
  assert.is(plan.noCache, true);
});

test('without a name the only buildable service is meant', async () => {
  await using dir = await project(oneService);
  assert.is((await resolve(dir.path)).plan.name, 'py-app');
});

test('flags replace tags and platforms, and add to arguments, labels and mounts', async () => {
  await using dir = await project(oneService);
  const { plan } = await resolve(dir.path, 'py-app', {
    tags: ['reg.example/x:1', 'reg.example/x:1'],
    platforms: ['linux/s390x'],
    args: { B: 'flag', C: 'flag' },
    labels: { m: 'flag' },
    secrets: [{ id: 's', type: 'env', variable: 'S' }],
    dockerfile: 'other/Dockerfile',
  });
  assert.equal(plan.tags, ['reg.example/x:1']);
  assert.equal(plan.platforms, ['linux/s390x']);
  assert.equal(plan.args, { A: 'file', B: 'flag', C: 'flag' });
  assert.equal(plan.labels, { l: 'file', m: 'flag' });
  assert.equal(plan.secrets, [{ id: 's', type: 'env', variable: 'S' }]);
  assert.equal(plan.dockerfile, { type: 'file', path: path.join(dir.path, 'other', 'Dockerfile') });
});

test('a directory is built as it is, even below a broken project file when it is given as a path', async () => {
  await using dir = await project('services: [');
  const { plan } = await resolve(dir.path, './app', { tags: ['onap/app'] });
  assert.is(plan.name, 'app');
  assert.equal(plan.tags, ['docker.io/onap/app:latest']);
  assert.equal(plan.platforms, []);
  assert.is((await failure(resolve(dir.path, 'app', { tags: ['onap/app'] }))).code, 'config');
});

test('a directory needs no project file', async () => {
  await using dir = await project();
  const tags = ['onap/app'];
  assert.equal((await resolve(dir.path, 'app', { tags })).plan.context, {
    type: 'directory',
    path: path.join(dir.path, 'app'),
  });
  assert.equal((await resolve(dir.path, undefined, { tags })).plan.context, {
    type: 'directory',
    path: dir.path,
  });
});

test('an archive, the standard input and a git URL are contexts that hold their Dockerfile', async () => {
  await using dir = await project(`services: {tarred: {build: {context: app.tar, dockerfile: a/D}}}`);
  await writeFile(path.join(dir.path, 'app.tar'), '');
  const tar = { type: 'tar', path: path.join(dir.path, 'app.tar') };
  const url = 'https://git.example/onap/py-app.git';
  const golden: [target: string, dockerfile: string | undefined, context: object, found: string][] = [
    ['./app.tar', undefined, tar, 'Dockerfile'],
    ['tarred', undefined, tar, 'a/D'],
    ['tarred', 'b', tar, 'b'],
    ['-', 'sub/Web', { type: 'tar' }, 'sub/Web'],
    [`${url}#v1:docker`, undefined, { type: 'git', url, ref: 'v1', subdirectory: 'docker' }, 'Dockerfile'],
  ];
  for (const [target, dockerfile, context, found] of golden) {
    const { plan } = await resolve(dir.path, target, { tags: ['app'], dockerfile });
    assert.equal(plan.context, context, target);
    assert.equal(plan.dockerfile, { type: 'context', path: found }, target);
  }
});

test('an unknown name offers the nearest one and lists those there are', async () => {
  await using dir = await project(oneService);
  const error = await failure(resolve(dir.path, 'pyapp'));
  assert.is(error.code, 'unknown-name');
  assert.match(error.message, /nothing to build is called pyapp in .*compose\.yaml/);
  assert.is(error.hint, 'did you mean py-app? known: py-app');
  assert.is((await failure(resolve(dir.path, './nowhere'))).code, 'unknown-name');
});

test('what cannot be built is said before anything is sent', async () => {
  await using dir = await project(`
services:
  a: {build: ./app}
  b: {build: ./gone, image: b}
  c: {build: ./app, image: "c@sha256:${'0'.repeat(64)}"}
`);
  const golden: [target: string | undefined, flags: Partial<PlanFlags>, code: string, text: RegExp][] = [
    [undefined, {}, 'usage', /several things to build name one: a, b, c/],
    ['a', {}, 'usage', /no name for the image of a give one with -t/],
    ['a', { tags: ['Reg/A'] }, 'usage', /invalid image reference/],
    ['a', { tags: ['a'], platforms: ['armv7'] }, 'usage', /did you mean linux\/arm\/v7/],
    ['b', {}, 'context-invalid', /gone is not a directory/],
    ['c', {}, 'config', /compose.yaml:5:.*cannot be named by digest/],
  ];
  for (const [target, flags, code, text] of golden) {
    const error = await failure(resolve(dir.path, target, flags));
    assert.is(error.code, code);
    assert.match(`${error.message} ${error.hint}`, text);
  }
});

test('-f - is the standard input, wherever the context is but there', async () => {
  await using dir = await project();
  for (const target of ['./app', 'https://host/a/b.git']) {
    const { plan } = await resolve(dir.path, target, { tags: ['a'], dockerfile: '-' });
    assert.equal(plan.dockerfile, { type: 'stdin' });
  }
  const error = await failure(resolve(dir.path, '-', { tags: ['a'], dockerfile: '-' }));
  assert.is(error.code, 'usage');
  assert.match(error.message, 'the standard input cannot be context and Dockerfile');
});

const overridden = `
services:
  app:
    image: reg.example/app
    build:
      context: ./app
      platforms: [linux/amd64, linux/arm64]
      args: {A: all, B: all}
      target: final
      cache_from: [reg.example/cache]
      cache_to: [type=inline]
    x-archfarm:
      suffix: tag
      type: oci
      attestations: strip
      child-tags: true
      annotations: {org.a: file, org.b: file, "manifest-descriptor[linux/arm64]:org.c": file}
      per-platform:
        linux/arm64: {args: {A: arm, C: arm}, target: small, dockerfile: Arm, labels: {l: arm, m: arm}}
`;

test('x-archfarm and the cache of a service are part of its plan', async () => {
  await using dir = await project(overridden);
  const { plan } = await resolve(dir.path);
  assert.is(plan.suffix, 'tag');
  assert.is(plan.type, 'oci');
  assert.is(plan.attestations, 'strip');
  assert.is(plan.childTags, true);
  assert.equal(plan.cacheFrom, ['reg.example/cache:latest']);
  assert.is(plan.inlineCache, true);
  assert.equal(plan.annotations.index, { 'org.a': 'file', 'org.b': 'file' });
  assert.equal(plan.perPlatform, {
    'linux/arm64/v8': {
      args: { A: 'arm', C: 'arm' },
      labels: { l: 'arm', m: 'arm' },
      target: 'small',
      dockerfile: { type: 'file', path: path.join(dir.path, 'app', 'Arm') },
    },
  });
});

test('flags go before what the file says, also of one platform', async () => {
  await using dir = await project(overridden);
  const { plan } = await resolve(dir.path, 'app', {
    suffix: 'repo',
    type: 'auto',
    attestations: 'keep',
    annotations: { ...noAnnotations, index: { 'org.a': 'flag' }, everyPlatform: { 'org.c': 'flag' } },
    cacheFrom: ['reg.example/other:latest'],
    args: { A: 'flag' },
    labels: { l: 'flag' },
    target: 'flag',
    dockerfile: 'Other',
  });
  assert.is(plan.suffix, 'repo');
  assert.is(plan.type, 'auto');
  assert.is(plan.attestations, 'keep');
  assert.equal(plan.annotations, {
    index: { 'org.a': 'flag', 'org.b': 'file' },
    everyPlatform: { 'org.c': 'flag' },
    platforms: { 'linux/arm64/v8': { 'org.c': 'flag' } },
  });
  assert.equal(plan.cacheFrom, ['reg.example/other:latest']);
  assert.equal(plan.args, { A: 'flag', B: 'all' });
  assert.equal(plan.perPlatform, {
    'linux/arm64/v8': { args: { C: 'arm' }, labels: { m: 'arm' }, target: undefined, dockerfile: undefined },
  });
});

test('a platform that a flag leaves out takes what the file says of it along', async () => {
  await using dir = await project(overridden);
  const { plan } = await resolve(dir.path, 'app', { platforms: ['linux/amd64'] });
  assert.equal(plan.perPlatform, {});
  assert.equal(plan.annotations.platforms, {});
});

test('a type from a flag must fit the annotations of the file', async () => {
  await using dir = await project(overridden);
  const error = await failure(resolve(dir.path, 'app', { type: 'docker' }));
  assert.is(error.code, 'usage');
  assert.match(error.message, /a Docker manifest list takes no annotations/);
});

test('services and bake targets of one directory are known together', async () => {
  await using dir = await project('services: {a: {build: ./app, image: reg/a}, both: {build: ./app}}');
  const targets = { b: { context: 'app', tags: ['reg/b'] }, both: {} };
  await writeFile(path.join(dir.path, 'docker-bake.json'), JSON.stringify({ target: targets }));
  assert.equal((await resolve(dir.path, 'a')).plan.tags, ['docker.io/reg/a:latest']);
  assert.equal((await resolve(dir.path, 'b')).plan.tags, ['docker.io/reg/b:latest']);
  const error = await failure(resolve(dir.path, 'both'));
  assert.match(error.message, /both .*compose\.yaml and .*docker-bake\.json have something called both/);
  assert.is(error.hint, 'say which with --project FILE');
  const flags = { project: 'docker-bake.json', tags: ['reg/both'] };
  assert.is((await resolve(dir.path, 'both', flags)).plan.name, 'both');
  assert.match((await failure(resolve(dir.path))).hint ?? '', /name one: a, both, b, both/);
  assert.match((await failure(resolve(dir.path, 'bb'))).hint ?? '', /known: a, both, b, both/);
});

test('a name, a tag or a platform that is wrong is told with its place, and what was unset with it', async () => {
  const golden: [lines: string[], message: RegExp, warnings?: RegExp][] = [
    [
      ['    image: "${REG}/web:${TAG}"', '    build: ./app'],
      /compose\.yaml:3:5: services\.web\.image: invalid image reference "\/web:"/,
      /variable REG is not set.*variable TAG is not set/s,
    ],
    [
      ['    image: reg.example/web', '    build: {context: ./app, tags: ["reg.example/Web"]}'],
      /compose\.yaml:4:\d+: services\.web\.build\.tags\.0: invalid image reference "reg\.example\/Web"/,
    ],
    [
      ['    image: reg.example/web', '    build: {context: ./app, platforms: [linux/amd46]}'],
      /compose\.yaml:4:\d+: services\.web\.build\.platforms\.0: unknown platform "linux\/amd46"/,
    ],
  ];
  for (const [lines, message, unset = /^$/] of golden) {
    await using dir = await project(['services:', '  web:', ...lines, ''].join('\n'));
    const warnings: string[] = [];
    const surroundings = { cwd: dir.path, environment: {}, warn: (text: string) => void warnings.push(text) };
    try {
      await resolvePlan('web', noFlags, surroundings);
      assert.unreachable();
    } catch (error) {
      assert.match(String(error), message);
    }
    assert.match(warnings.join('\n'), unset);
  }
  await using dir = await project('services: {web: {image: "${REG}/web", build: ./app}}');
  const { plan } = await resolve(dir.path, 'web', { tags: ['reg.example/web'] });
  assert.equal(plan.tags, ['reg.example/web:latest']);
});

test.run();

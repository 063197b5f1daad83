import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { noAnnotations } from '../../../coordinator/project/annotations.ts';
import { BakeFile, readBakeFile } from '../../../coordinator/project/bake-file.ts';
import type { Environment } from '../../../coordinator/project/interpolate.ts';
import { plainBuild, type ProjectBuild } from '../../../coordinator/project/project-build.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import { buildx } from '../../../scripts/rig/buildx.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { writeFiles } from '../../support/write-files.ts';

const run = promisify(execFile);

async function bakeFile(content: unknown, environment: Environment = {}): Promise<BakeFile> {
  await using dir = await temporaryDirectory();
  const file = path.join(dir.path, 'docker-bake.json');
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content, undefined, 2));
  return await readBakeFile([file], environment);
}

async function build(target: unknown, environment: Environment = {}): Promise<ProjectBuild> {
  return (await bakeFile({ target: { app: target } }, environment)).build('app');
}

test('an object may have several comments', async () => {
  const text = `{
    "//": "one", "//": "two",
    "target": {
      "//": "three", "//": "four",
      "app": {"//": "five", "tags": ["reg/a"], "//": "six"}
    }
  }`;
  const file = await bakeFile(text);
  assert.equal(await file.buildable(), ['app']);
  assert.equal((await file.build('app')).tags, ['reg/a']);
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

test('every key of a target is read', async () => {
  const project = await bakeFile(
    {
      target: {
        app: {
          '//': 'a comment',
          description: 'nothing to build by',
          context: '/src',
          dockerfile: 'docker/D',
          args: { A: '1', B: 1.1, C: true, D: null },
          labels: { l: 'v', m: null },
          tags: ['reg/app:1', 'reg/app:2'],
          platforms: ['linux/amd64'],
          target: 'final',
          secret: ['id=a,src=/a.txt', 'type=env,id=b,src=VAR', { type: 'env', id: 'c', env: 'C' }],
          ssh: ['default', 'x=/x.sock', { id: 'y', paths: ['/y.sock'] }],
          'cache-from': ['reg/c', 'type=registry,ref=reg/d:1', { type: 'registry', ref: 'reg/e' }],
          'cache-to': ['type=inline'],
          'no-cache': true,
          pull: true,
          network: 'none',
          contexts: { lib: '/lib' },
          'extra-hosts': { db: '10.0.0.1', v6: '[::1]' },
          annotations: ['org.a=b', 'manifest-descriptor[linux/arm64]:c=d'],
          output: ['type=registry', { type: 'image', push: true }],
          attest: ['type=provenance,disabled=true'],
          call: 'build',
        },
      },
    },
    { SSH_AUTH_SOCK: '/agent.sock' },
  );
  assert.equal(await project.build('app'), {
    ...plainBuild({ type: 'directory', path: '/src' }),
    dockerfile: { type: 'file', path: '/src/docker/D' },
    args: { A: '1', B: '1.1', C: 'true' },
    labels: { l: 'v' },
    tags: ['reg/app:1', 'reg/app:2'],
    platforms: ['linux/amd64'],
    target: 'final',
    secrets: [
      { id: 'a', type: 'file', path: '/a.txt' },
      { id: 'b', type: 'env', variable: 'VAR' },
      { id: 'c', type: 'env', variable: 'C' },
    ],
    ssh: [
      { id: 'default', socket: '/agent.sock' },
      { id: 'x', socket: '/x.sock' },
      { id: 'y', socket: '/y.sock' },
    ],
    cacheFrom: ['docker.io/reg/c:latest', 'docker.io/reg/d:1', 'docker.io/reg/e:latest'],
    inlineCache: true,
    noCache: true,
    pull: true,
    network: 'none',
    contexts: [{ name: 'lib', path: '/lib' }],
    extraHosts: ['db:10.0.0.1', 'v6:::1'],
    annotations: { ...noAnnotations, index: { 'org.a': 'b' }, platforms: { 'linux/arm64/v8': { c: 'd' } } },
  });
});

test('the kind of list that an output asks for is the one that is published', async () => {
  const golden: [target: object, type: string | undefined][] = [
    [{ output: ['type=registry'] }, undefined],
    [{ output: ['type=registry,oci-mediatypes=true'] }, 'oci'],
    [{ output: [{ type: 'image', push: true, 'oci-mediatypes': false }] }, 'docker'],
    [{ output: ['oci-mediatypes=true,type=registry'], 'x-archfarm': { type: 'docker' } }, 'docker'],
  ];
  for (const [target, type] of golden) assert.is((await build(target)).type, type, JSON.stringify(target));
});

test('x-archfarm has what bake has no key for, inherited as all else', async () => {
  const project = await bakeFile({
    target: {
      base: { 'x-archfarm': { suffix: 'tag', type: 'oci', annotations: { a: '1' }, 'child-tags': true } },
      app: {
        inherits: ['base'],
        context: '/src',
        platforms: ['linux/amd64', 'linux/arm64'],
        annotations: ['b=2'],
        'x-archfarm': {
          type: 'docker',
          optional: ['arm64'],
          'per-platform': { 'linux/arm64': { args: { A: 2 }, dockerfile: 'Dockerfile.arm' } },
        },
      },
      wrong: { 'x-archfarm': { sufix: 'tag' } },
    },
  });
  const { suffix, type, childTags, optional, annotations, perPlatform } = await project.build('app');
  assert.equal([suffix, type, childTags, optional], ['tag', 'docker', true, ['linux/arm64/v8']]);
  assert.equal(annotations.index, { a: '1', b: '2' });
  assert.equal(perPlatform, {
    'linux/arm64/v8': { args: { A: '2' }, dockerfile: { type: 'file', path: '/src/Dockerfile.arm' } },
  });
  const error = await failure(project.build('wrong'));
  assert.match(error.message, /target\.wrong\.x-archfarm\.sufix: unknown key/);
});

test('a git URL, and a Dockerfile in the file itself', async () => {
  const { context, dockerfile } = await build({ context: 'https://host/x.git#v1', dockerfile: 'D' });
  assert.equal(context, { type: 'git', url: 'https://host/x.git', ref: 'v1', subdirectory: undefined });
  assert.equal(dockerfile, { type: 'context', path: 'D' });
  assert.equal((await build({ dockerfile: 'D', 'dockerfile-inline': 'FROM x' })).dockerfile, {
    type: 'inline',
    text: 'FROM x',
  });
});

test('variables come from the environment where they are declared, else from the file', async () => {
  const content = {
    TOP: 'top-${TAG}',
    variable: {
      TAG: { default: '1' },
      REF: { default: 'reg/${TAG}' },
      EMPTY: {},
      NULL: { default: null },
      FLAG: { default: true },
      LOOP: { default: '${LOOP}' },
    },
    target: {
      app: {
        args: {
          A: '${REF} ${ TOP }${EMPTY}',
          B: '$TAG $${TAG} %%{x}',
          C: '${NULL}',
          D: '${FLAG}',
        },
        target: '${NULL}',
      },
      loop: { tags: ['${LOOP}'] },
      null: { tags: ['a${NULL}'] },
      unknown: { tags: ['${NOPE}'] },
      expression: { tags: ['${upper("a")}'] },
      directive: { tags: ['%{if FLAG}a%{endif}'] },
      open: { tags: ['${TAG'] },
    },
  };
  const plain = await (await bakeFile(content)).build('app');
  assert.equal(plain.args, { A: 'reg/1 top-1', B: '$TAG ${TAG} %{x}', D: 'true' });
  assert.is(plain.target, undefined);
  const project = await bakeFile(content, { TAG: '2', TOP: 'not declared', NULL: 'set' });
  const given = await project.build('app');
  assert.equal(given.args, { A: 'reg/2 top-2', B: '$TAG ${TAG} %{x}', C: 'set', D: 'true' });
  const golden: [target: string, message: RegExp][] = [
    ['loop', /target\.loop\.tags\.0: .*variable LOOP is made of itself/],
    ['unknown', /docker-bake\.json:\d+:\d+: target\.unknown\.tags\.0: there is no variable NOPE/],
    ['expression', /only \$\{VARIABLE\} is understood here, not \$\{upper\("a"\)\}/],
    ['directive', /only \$\{VARIABLE\} is understood here, not %\{/],
    ['open', /only \$\{VARIABLE\} is understood here, not \$\{TAG/],
  ];
  for (const [target, message] of golden)
    assert.match((await failure(project.build(target))).message, message);
  assert.match((await failure((await bakeFile(content)).build('null'))).message, /variable NULL is null/);
});

test('a group is its one target, and default is what is meant without a name', async () => {
  const project = await bakeFile({
    group: {
      one: { targets: ['nested'] },
      nested: { targets: ['app'] },
      all: { targets: ['app', 'nested', 'other'] },
      none: { targets: [] },
      typo: { targets: ['ap'] },
      default: { targets: ['all'] },
      round: { targets: ['round', 'one'] },
    },
    target: { app: { tags: ['reg/app'] }, other: {} },
  });
  assert.equal(await project.implied(), ['default']);
  assert.equal(await project.buildable(), ['app', 'other']);
  assert.equal((await project.build('one')).tags, ['reg/app']);
  assert.equal((await project.build('round')).tags, ['reg/app']);
  const error = await failure(project.build('default'));
  assert.match(error.message, /group\.default: a build has one target, and this group has several/);
  assert.is(error.hint, 'name one: app, other');
  assert.match((await failure(project.build('none'))).message, /a group without targets/);
  assert.match((await failure(project.build('typo'))).message, /targets\.0: there is no target ap$/);
  assert.equal(await (await bakeFile({ target: { a: {}, b: {} } })).implied(), ['a', 'b']);
});

test('what a target asks for and cannot have is an error with its place', async () => {
  const golden: [target: object, message: RegExp, hint?: RegExp][] = [
    [{ platfroms: ['a'] }, /:4:\d+: target\.app\.platfroms: unknown key/, /did you mean platforms\?/],
    [{ matrix: { a: ['b'] } }, /target\.app\.matrix: a matrix makes several/, /bake --print/],
    [{ 'no-cache-filter': ['a'] }, /no-cache-filter: engines leave the cache out/],
    [{ 'shm-size': '1g' }, /shm-size: not every engine/],
    [{ ulimits: ['nofile=1'] }, /ulimits: not every engine/],
    [{ entitlements: ['security.insecure'] }, /entitlements: engines grant nothing/],
    [{ call: 'check' }, /call: targets are built here/],
    [{ output: ['type=local,dest=out'] }, /output\.0: what is built is published/],
    [{ output: [{ type: 'docker' }] }, /output\.0: what is built is published/],
    [{ attest: ['type=sbom'] }, /attest\.0: attestations are attached by engines/],
    [{ 'cache-from': ['type=gha'] }, /cache-from\.0: .*engines take a cache from images only/],
    [{ 'cache-to': ['type=registry,ref=x'] }, /cache-to\.0: .*into the image only/],
    [{ contexts: { a: 'target:b' } }, /contexts\.a: .*another target/],
    [{ secret: ['src=x'] }, /secret\.0: invalid --secret/],
    [{ network: 'bridge2' }, /network: build steps cannot be in/],
    [{ annotations: ['x'] }, /annotations\.0: .*is not NAME=VALUE/],
    [{ annotations: ['manifest:a=b'] }, /annotations\.0: .*cannot be annotated/],
    [{ inherits: ['nope'] }, /inherits\.0: there is no target nope/],
    [{ inherits: ['app'] }, /inherits\.0: app inherits itself/],
    [{ tags: 'x' }, /tags: must be a list/],
    [{ args: ['A=1'], tags: [[]] }, /tags\.0: must be a text/],
    [{ ssh: [{ id: 'a', paths: ['/a', '/b'] }] }, /a mount has one socket/],
  ];
  for (const [target, message, hint] of golden) {
    const error = await failure(build(target));
    assert.is(error.code, 'config', JSON.stringify(target));
    assert.match(error.message, message);
    if (hint !== undefined) assert.match(error.hint ?? '', hint);
  }
  assert.match((await failure(bakeFile('{"target": {"a": {}, "a": {}}}'))).message, /:1:22: .*unique/);
  assert.match((await failure(bakeFile('{"target": {a: {}}}'))).message, /docker-bake\.json: .*JSON/);
  assert.match((await failure(bakeFile({ function: { f: {} } }))).message, /functions are not supported/);
});

test('inheritance, overrides and variables end where docker buildx bake --print does', async () => {
  await using dir = await temporaryDirectory();
  const at = (name: string): string => path.join(dir.path, name);
  const base = {
    TOP: 'top-${TAG}',
    variable: { TAG: { default: '1.0' }, R: { default: 'reg/${TAG}' }, NONE: {}, B: { default: true } },
    group: { all: { targets: ['one', 'two', 'sub'] }, sub: { targets: ['three', 'one'] } },
    target: {
      _base: {
        args: { A: 'base', B: '${B}', N: 1.1, E: '', KEPT: 'kept' },
        labels: { l: '1', n: 'x' },
        tags: ['reg/base'],
        'cache-from': ['type=registry,ref=reg/c1'],
        'cache-to': ['type=inline'],
        secret: ['id=a,src=a.txt'],
        platforms: ['linux/amd64'],
        contexts: { lib: './lib', web: './lib' },
        annotations: ['k=v'],
        'no-cache': true,
        dockerfile: 'of-base',
      },
      _two: { args: { A: 'two' }, target: 'st', contexts: { web: 'app' } },
      one: {
        inherits: ['_base', '_two'],
        context: 'app',
        args: { C: '$TAG ${TAG}x${NONE}', KEPT: null },
        tags: ['${R}/one:${TOP}'],
        'cache-from': ['reg/c2'],
        secret: ['id=b,env=B'],
        annotations: ['index:a=b'],
        platforms: ['linux/arm64'],
        'no-cache': false,
        labels: { m: '2' },
      },
      two: { 'dockerfile-inline': 'FROM scratch\n', pull: true, tags: ['reg/two'] },
      three: { inherits: ['one'], args: { A: 'three' }, 'dockerfile-inline': 'FROM three' },
    },
  };
  const override = {
    variable: { R: { default: 'over/${TAG}' } },
    target: {
      two: { inherits: ['_two'], tags: ['reg/2'] },
      one: { args: { A: 'over' }, 'cache-from': ['reg/c3'] },
    },
  };
  await writeFiles(dir.path, {
    'docker-bake.json': JSON.stringify(base),
    'docker-bake.override.json': JSON.stringify(override),
    'a.txt': '',
    'lib/x': '',
    'app/x': '',
  });
  const program = await buildx();
  for (const environment of [{}, { TAG: '9', B: 'false', TOP: 'x' }]) {
    const env = { ...process.env, ...environment, DOCKER_CONFIG: at('config') };
    const { stdout } = await run(program, ['bake', '--print', 'all'], { cwd: dir.path, env });
    await writeFile(at('printed.json'), stdout);
    const files = [at('docker-bake.json'), at('docker-bake.override.json')];
    const ours = await readBakeFile(files, environment);
    const theirs = await readBakeFile([at('printed.json')], {});
    for (const name of ['one', 'two', 'three']) {
      assert.equal(await ours.build(name), await theirs.build(name), name);
    }
  }
});

test.run();

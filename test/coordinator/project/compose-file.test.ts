import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readComposeFile } from '../../../coordinator/project/compose-file.ts';
import { findProjectFiles } from '../../../coordinator/project/find-project.ts';
import type { Environment } from '../../../coordinator/project/interpolate.ts';
import { openProjects } from '../../../coordinator/project/open-projects.ts';
import type { ProjectBuild } from '../../../coordinator/project/project-build.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const environment = { HOST: 'from-environment' };

async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return String(error);
  }
  throw new Error('did not fail');
}

test('the nearest files upwards are found, compose.yaml before its older names, with what overrides them', async () => {
  await using dir = await temporaryDirectory();
  const at = (...names: string[]): string => path.join(dir.path, ...names);
  const deep = at('a', 'b');
  await mkdir(path.join(deep, 'compose.yml'), { recursive: true });
  await writeFile(at('docker-compose.yml'), '');
  await writeFile(at('docker-bake.override.json'), '');
  assert.equal(await findProjectFiles(deep), { compose: [at('docker-compose.yml')], bake: [] });
  await writeFile(at('compose.yaml'), '');
  await writeFile(at('compose.override.yaml'), '');
  await writeFile(at('docker-bake.json'), '');
  assert.equal(await findProjectFiles(deep), {
    compose: [at('compose.yaml'), at('compose.override.yaml')],
    bake: [at('docker-bake.json'), at('docker-bake.override.json')],
  });
  await writeFile(at('a', 'docker-bake.json'), '');
  assert.equal(await findProjectFiles(deep), { compose: [], bake: [at('a', 'docker-bake.json')] });
});

test('the environment wins over .env, and unset variables are told', async () => {
  await using dir = await temporaryDirectory();
  const file = path.join(dir.path, 'compose.yaml');
  await writeFile(path.join(dir.path, '.env'), 'HOST=from-file\nBASE=ap\nNAME=${BASE}p#1\nLESS=$GONE\n');
  await writeFile(
    file,
    'services: {app: {image: "$HOST/$BASE$NOPE", build: {args: [NAME]}}, db: {image: "$OTHER"}}',
  );
  const project = await readComposeFile([file], environment);
  assert.equal(await project.buildable(), ['app']);
  const build = await project.build('app');
  assert.equal(build.tags, ['from-environment/ap']);
  assert.equal(build.args, { NAME: 'app#1' });
  assert.equal(project.warnings, [
    `${path.join(dir.path, '.env')}: variable GONE is not set, so it is empty`,
    `${file}: variable NOPE is not set, so it is empty`,
  ]);
  assert.match(await failure(project.build('db')), /service db in .* has no build section/);
});

test('a file that is not YAML, or too much of it, is refused with its place [C1]', async () => {
  await using dir = await temporaryDirectory();
  const file = path.join(dir.path, 'compose.yaml');
  const levels = 'abcdefgh'
    .split('')
    .map((name, level, all) =>
      level === 0 ? 'a: &a [1,1,1,1,1,1,1,1,1]' : `${name}: &${name} [${`*${all[level - 1]},`.repeat(9)}]`,
    );
  const golden: [text: string, message: RegExp][] = [
    ['services:\n\tapp: 1', /compose\.yaml:2:1: /],
    ['services:\n  app: {build: .}\n  app: {build: .}', /compose\.yaml:3:3: .*unique/],
    ['services: [app', /compose\.yaml:1:15: /],
    ['services: {}\n---\nservices: {}', /compose\.yaml:2:1: a second document begins here/],
    ['- a', /compose\.yaml:1:1: must be a mapping/],
    ['services: text', /compose\.yaml:1:1: services: must be a mapping/],
    [levels.join('\n'), /[Ee]xcessive alias/],
    [`# ${'x'.repeat(1024 * 1024)}`, /larger than 1048576 bytes/],
  ];
  for (const [text, message] of golden) {
    await writeFile(file, text);
    assert.match(await failure(readComposeFile([file], environment)), message);
  }
});

test('an override file lies over the file as with docker compose', async () => {
  await using dir = await temporaryDirectory();
  const at = (name: string): string => path.join(dir.path, name);
  await writeFile(
    at('compose.yaml'),
    `services:
  app:
    image: reg/app
    build:
      context: one
      args: {A: file, B: file, C: file}
      tags: [reg/app:1]
      cache_from: [reg/c1]
      platforms: [linux/amd64]
      labels: {l: file}
      target: final
      secrets: [key]
    x-archfarm: {suffix: tag, child-tags: true}
secrets: {key: {file: a.key}}
`,
  );
  await writeFile(
    at('compose.override.yaml'),
    `services:
  app:
    build:
      context: two
      args: [B=over, C]
      tags: [reg/app:2]
      cache_from: !override [reg/c2]
      platforms: [linux/arm64]
      labels: [m=over]
      target: !reset null
    x-archfarm: {suffix: repo}
  other:
    build: .
secrets: {key: {file: b.key}}
`,
  );
  const [project] = await openProjects(undefined, { cwd: dir.path, environment: {} });
  assert.equal(await project?.buildable(), ['app', 'other']);
  const build = await project?.build('app');
  assert.equal(build?.context, { type: 'directory', path: at('two') });
  assert.equal(build?.args, { A: 'file', B: 'over' });
  assert.equal(build?.tags, ['reg/app', 'reg/app:1', 'reg/app:2']);
  assert.equal(build?.cacheFrom, ['docker.io/reg/c2:latest']);
  assert.equal(build?.platforms, ['linux/amd64', 'linux/arm64']);
  assert.equal(build?.labels, { l: 'file', m: 'over' });
  assert.is(build?.target, undefined);
  assert.is(build?.suffix, 'repo');
  assert.is(build?.childTags, true);
  assert.equal(build?.secrets, [{ id: 'key', type: 'file', path: at('b.key') }]);
  const [alone] = await openProjects('compose.yaml', { cwd: dir.path, environment: {} });
  assert.equal((await alone?.build('app'))?.tags, ['reg/app', 'reg/app:1']);
});

test('a service may extend one of its own file or of another, whose paths are its own', async () => {
  await using dir = await temporaryDirectory();
  const at = (name: string): string => path.join(dir.path, name);
  await mkdir(at('sub'));
  await writeFile(
    at('sub/base.yaml'),
    'services: {base: {image: "$NOPE", build: {context: ctx, args: {A: base, B: base}}}}',
  );
  await writeFile(
    at('compose.yaml'),
    `services:
  app:
    extends: middle
    build: {args: {B: app}}
  middle:
    extends: {service: base, file: sub/base.yaml}
    image: reg/middle
  image-only: {extends: redis}
  redis: {image: redis}
  loop: {extends: loop, build: .}
  gone: {extends: {service: gone, file: sub/base.yaml}, build: .}
`,
  );
  const project = await readComposeFile([at('compose.yaml')], {});
  const build = await project.build('app');
  assert.equal(build.tags, ['reg/middle']);
  assert.equal(build.args, { A: 'base', B: 'app' });
  assert.equal(build.context, { type: 'directory', path: at('sub/ctx') });
  assert.match(await failure(project.build('image-only')), /loop.*extends itself|no build section/);
  assert.match(await failure(project.build('loop')), /:10:10: services\.loop\.extends: .* extends itself/);
  assert.match(await failure(project.build('gone')), /there is no service gone in .*base\.yaml/);
});

test('what is not read is said', async () => {
  await using dir = await temporaryDirectory();
  const file = path.join(dir.path, 'compose.yaml');
  await writeFile(file, 'include: [other.yaml]\nservices: {app: {build: .}}');
  const project = await readComposeFile([file], {});
  assert.equal(project.warnings, [`${file}: include is not read; --project FILE names another file`]);
  await writeFile(file, 'x-archfarm: {suffix: tag}\nservices: {app: {build: .}}');
  assert.match(await failure(readComposeFile([file], {})), /:1:1: x-archfarm: belongs to a service/);
  const hcl = openProjects('bake.hcl', { cwd: '/p', environment: {} });
  assert.match(await failure(hcl), /\/p\/bake\.hcl: bake files are read as JSON only/);
  assert.match(
    await failure(readComposeFile(['/nowhere/compose.yaml'], {})),
    /cannot read the project file .*ENOENT/,
  );
});

test('COMPOSE_FILE names the files, of the environment or of .env, and their paths are those of the first', async () => {
  await using dir = await temporaryDirectory();
  const at = (...names: string[]): string => path.join(dir.path, ...names);
  await mkdir(at('ci'));
  await mkdir(at('base'));
  await writeFile(at('compose.yaml'), 'services: {app: {image: reg/default, build: .}}');
  await writeFile(at('base', 'app.yaml'), 'services: {app: {image: "reg/app:$TAG$OWN", build: ctx}}');
  await writeFile(at('base', '.env'), 'TAG=of-base\nOWN=-own\n');
  await writeFile(
    at('ci', 'ci.yaml'),
    'services: {app: {build: {context: other, secrets: [k]}}}\nsecrets: {k: {file: k}}',
  );
  const build = async (environment: Environment): Promise<ProjectBuild | undefined> => {
    const [project, ...others] = await openProjects(undefined, { cwd: dir.path, environment });
    assert.is(others.length, 0);
    return project?.build('app');
  };
  assert.equal((await build({}))?.tags, ['reg/default']);
  const files = { COMPOSE_FILE: 'base/app.yaml:ci/ci.yaml' };
  const read = await build(files);
  assert.equal(read?.tags, ['reg/app:of-base-own']);
  assert.equal(read?.context, { type: 'directory', path: at('base', 'other') });
  assert.equal(read?.secrets, [{ id: 'k', type: 'file', path: at('base', 'k') }]);
  const separated = { COMPOSE_FILE: `${at('base', 'app.yaml')};ci/ci.yaml`, COMPOSE_PATH_SEPARATOR: ';' };
  assert.equal(await build(separated), read);
  await writeFile(at('.env'), 'TAG=of-cwd\nCOMPOSE_FILE=base/app.yaml\n');
  assert.equal((await build({}))?.tags, ['reg/app:of-cwd-own']);
  assert.equal((await build({ COMPOSE_FILE: 'compose.yaml' }))?.tags, ['reg/default']);
  assert.equal((await build({ COMPOSE_FILE: '' }))?.tags, ['reg/default']);
  assert.match(
    await failure(build({ COMPOSE_FILE: 'base/app.yaml:gone.yaml' })),
    `COMPOSE_FILE names ${at('gone.yaml')}, and there is no such file`,
  );
  const [given] = await openProjects('compose.yaml', { cwd: dir.path, environment: files });
  assert.equal((await given?.build('app'))?.tags, ['reg/default']);
});

test('a directory called .env is no .env', async () => {
  await using dir = await temporaryDirectory();
  const file = path.join(dir.path, 'compose.yaml');
  await mkdir(path.join(dir.path, '.env'));
  await writeFile(file, 'services: {app: {image: reg/app, build: .}}');
  assert.equal((await (await readComposeFile([file], {})).build('app')).tags, ['reg/app']);
  const [project] = await openProjects(undefined, { cwd: dir.path, environment: {} });
  assert.ok(project);
});

test('COMPOSE_PROJECT_NAME is always there, as Compose makes it', async () => {
  await using dir = await temporaryDirectory();
  const directory = path.join(dir.path, '_My App.2');
  await mkdir(directory);
  const file = path.join(directory, 'compose.yaml');
  const services = 'services: {app: {image: "reg/$COMPOSE_PROJECT_NAME", build: .}}\n';
  const nameOf = async (environment: Environment): Promise<string | undefined> => {
    const project = await readComposeFile([file], environment);
    const { tags } = await project.build('app');
    assert.equal(project.warnings, []);
    return tags[0];
  };
  await writeFile(file, services);
  assert.is(await nameOf({}), 'reg/myapp2');
  await writeFile(file, `${services}name: "of-$STAGE"\n`);
  assert.is(await nameOf({ STAGE: 'ci' }), 'reg/of-ci');
  assert.is(await nameOf({ STAGE: 'ci', COMPOSE_PROJECT_NAME: 'given' }), 'reg/given');
});

test.run();

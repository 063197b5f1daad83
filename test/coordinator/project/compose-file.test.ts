import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readComposeFile } from '../../../coordinator/project/compose-file.ts';
import { findComposeFile } from '../../../coordinator/project/find-project.ts';
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

test('the nearest file upwards is found, compose.yaml before its older names', async () => {
  await using dir = await temporaryDirectory();
  const deep = path.join(dir.path, 'a', 'b');
  await mkdir(path.join(deep, 'compose.yml'), { recursive: true });
  await writeFile(path.join(dir.path, 'docker-compose.yml'), '');
  assert.is(await findComposeFile(deep), path.join(dir.path, 'docker-compose.yml'));
  await writeFile(path.join(dir.path, 'compose.yaml'), '');
  assert.is(await findComposeFile(deep), path.join(dir.path, 'compose.yaml'));
  await writeFile(path.join(dir.path, 'a', 'compose.yml'), '');
  assert.is(await findComposeFile(deep), path.join(dir.path, 'a', 'compose.yml'));
});

test('the environment wins over .env, and unset variables are told', async () => {
  await using dir = await temporaryDirectory();
  const file = path.join(dir.path, 'compose.yaml');
  await writeFile(path.join(dir.path, '.env'), 'HOST=from-file\nNAME="app"\n');
  await writeFile(
    file,
    'services: {app: {image: "$HOST/$NAME$NOPE", build: {args: [NAME]}}, db: {image: "$OTHER"}}',
  );
  const project = await readComposeFile(file, environment);
  assert.equal(project.buildable, ['app']);
  const build = project.build('app');
  assert.equal(build.tags, ['from-environment/app']);
  assert.equal(build.args, { NAME: 'app' });
  assert.equal(project.warnings, [`${file}: variable NOPE is not set, so it is empty`]);
  assert.throws(() => project.build('db'), /service db in .* has no build section/);
});

test('a file that is not YAML, or too much of it, is refused with its place', async () => {
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
    ['- a', /compose\.yaml:1:1: must be a mapping/],
    ['services: text', /compose\.yaml:1:1: services: must be a mapping/],
    [levels.join('\n'), /[Ee]xcessive alias/],
    [`# ${'x'.repeat(1024 * 1024)}`, /larger than 1048576 bytes/],
  ];
  for (const [text, message] of golden) {
    await writeFile(file, text);
    assert.match(await failure(readComposeFile(file, environment)), message);
  }
});

test('bake files and absent files say so', async () => {
  assert.match(await failure(readComposeFile('/p/docker-bake.json', {})), /bake files are not supported yet/);
  assert.match(
    await failure(readComposeFile('/nowhere/compose.yaml', {})),
    /cannot read the project file .*ENOENT/,
  );
});

test.run();

import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { placesOf } from '../../../coordinator/cli/dockerfile-places.ts';
import { dockerfileTree } from '../../../coordinator/context/dockerfile.ts';
import type { DockerfileSource } from '../../../coordinator/project/spec.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { writeFiles } from '../../support/write-files.ts';

const failed = { platform: 'linux/amd64', step: '[2/2] RUN make', message: undefined };

function place(dockerfile: DockerfileSource, text: string): ReturnType<ReturnType<typeof placesOf>> {
  const tree = { text, name: 'Dockerfile' };
  return placesOf(
    { dockerfile, perPlatform: {} },
    { dockerfile: { ...none, ...tree }, perPlatform: new Map() },
  )(failed);
}

const none = await dockerfileTree({ type: 'inline', text: '' });
const text = '# a comment\nFROM base\nRUN make\n';

test('a file is named by its path from where people are, or in full', () => {
  const path = join(process.cwd(), 'app', 'Dockerfile');
  assert.equal(place({ type: 'file', path }, text), { name: 'app/Dockerfile', path, line: 3 });
  const elsewhere = '/elsewhere/Dockerfile';
  assert.equal(place({ type: 'file', path: elsewhere }, text), { name: elsewhere, path: elsewhere, line: 3 });
});

test('what is in a project file, a repository or an archive is no file of this machine', () => {
  assert.equal(place({ type: 'inline', text }, text), {
    name: 'dockerfile_inline',
    path: undefined,
    line: 3,
  });
  const inside = { type: 'context', path: 'docker/Dockerfile' } as const;
  assert.equal(place(inside, text), { name: 'docker/Dockerfile', path: undefined, line: 3 });
  assert.is(place(inside, 'FROM other\n'), undefined);
});

test('a platform with a Dockerfile of its own has its places there, as it was sent', async () => {
  await using directory = await temporaryDirectory();
  const own = { type: 'file', path: join(directory.path, 'arm.Dockerfile') } as const;
  await writeFiles(directory.path, { 'arm.Dockerfile': 'FROM base\nRUN make\n' });
  const perPlatform = new Map([['linux/arm64/v8', await dockerfileTree(own)]]);
  await writeFiles(directory.path, { 'arm.Dockerfile': '# changed\n\nFROM base\nRUN make\n' });
  const find = placesOf(
    { dockerfile: { type: 'inline', text }, perPlatform: { 'linux/arm64/v8': { dockerfile: own } } },
    { dockerfile: await dockerfileTree({ type: 'inline', text }), perPlatform },
  );
  assert.equal(find({ ...failed, platform: 'linux/arm64/v8' }), { name: own.path, path: own.path, line: 2 });
  assert.is(find(failed)?.line, 3);
});

test.run();

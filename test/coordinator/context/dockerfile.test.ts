import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dockerfileTree, type DockerfileTree } from '../../../coordinator/context/dockerfile.ts';
import { SnapshotSource } from '../../../coordinator/context/snapshot.ts';
import { decodeDirectory } from '../../../shared/context/encoding.ts';
import { failureOf } from '../../support/failure.ts';
import { collect } from '../../support/memory-tree.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const signal = AbortSignal.timeout(10_000);

/** Names and contents, fetched as a coordinator would. */
async function contentsOf(tree: DockerfileTree): Promise<Record<string, string>> {
  const source = new SnapshotSource([tree]);
  const record = await source.open({ kind: 'directory', digest: tree.root, size: 0, offset: 0 }, signal);
  const { entries } = decodeDirectory(tree.root, await collect(record.chunks));
  const contents: Record<string, string> = {};
  for (const entry of entries) {
    if (entry.type !== 'file') continue;
    const content = await source.open(
      { kind: 'blob', digest: entry.digest, size: entry.size, offset: 0 },
      signal,
    );
    contents[entry.name] = (await collect(content.chunks)).toString();
  }
  return contents;
}

test('holds the Dockerfile and its ignore file, and nothing beside them [D2]', async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, 'Web.Dockerfile');
  await writeFile(path, 'FROM scratch');
  await writeFile(`${path}.dockerignore`, 'a');
  await writeFile(join(directory.path, 'other'), '');
  const tree = await dockerfileTree({ type: 'file', path });
  assert.is(tree.name, 'Web.Dockerfile');
  assert.equal(await contentsOf(tree), {
    'Web.Dockerfile': 'FROM scratch',
    'Web.Dockerfile.dockerignore': 'a',
  });
});

test('follows a Dockerfile that is a link', async () => {
  await using directory = await temporaryDirectory();
  await writeFile(join(directory.path, 'real'), 'FROM real');
  await symlink('real', join(directory.path, 'Dockerfile'));
  const tree = await dockerfileTree({ type: 'file', path: join(directory.path, 'Dockerfile') });
  assert.equal(await contentsOf(tree), { Dockerfile: 'FROM real' });
});

test('text in the project file is a Dockerfile too', async () => {
  const tree = await dockerfileTree({ type: 'inline', text: 'FROM inline' });
  assert.is(tree.name, 'Dockerfile');
  assert.equal(await contentsOf(tree), { Dockerfile: 'FROM inline' });
});

test("tells every frontend that is not Docker's own [D3]", async () => {
  const text = '# syntax=docker/dockerfile:1\n# syntax=acme/front\n// syntax=evil/front\nFROM scratch\n';
  const { frontends } = await dockerfileTree({ type: 'inline', text });
  assert.equal(frontends, ['acme/front', 'evil/front']);
});

test('says which Dockerfile is missing or is none, and what to do [D1]', async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, 'Dockerfile');
  const missing = await failureOf(dockerfileTree({ type: 'file', path }));
  assert.is(missing.code, 'context-invalid');
  assert.ok(missing.message.startsWith(`No Dockerfile: ${path}`));
  assert.match(missing.hint ?? '', /-f/);
  for (const [content, said] of [
    [Buffer.alloc(0), 'is empty'],
    [Buffer.from('\uFEFFFROM scratch', 'utf16le'), 'is UTF-16'],
  ] as const) {
    await writeFile(path, content);
    const unusable = await failureOf(dockerfileTree({ type: 'file', path }));
    assert.is(unusable.code, 'context-invalid');
    assert.ok(unusable.message.startsWith(`${path} ${said}`), unusable.message);
  }
  await rm(path);
  await mkdir(path);
  const wrong = await failureOf(dockerfileTree({ type: 'file', path }));
  assert.is(wrong.code, 'context-invalid');
  assert.ok(wrong.message.includes(path));
});

test.run();

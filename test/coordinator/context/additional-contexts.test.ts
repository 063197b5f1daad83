import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkTogether, scanAdditionalContexts } from '../../../coordinator/context/additional-contexts.ts';
import { failureOf } from '../../agent/engine/build-rig.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { writeFiles } from '../../support/write-files.ts';

const signal = new AbortController().signal;

test('each directory becomes a tree by its own ignore file', async () => {
  await using directory = await temporaryDirectory();
  await writeFiles(directory.path, {
    'lib/.dockerignore': 'no\n',
    'lib/yes': 'yes',
    'lib/no': 'no',
    'lib/Dockerfile': 'FROM scratch',
    'lib/Dockerfile.dockerignore': 'yes\n',
    'web/no': 'no',
  });
  const contexts = ['lib', 'web'].map((name) => ({ name, path: join(directory.path, name) }));
  const scanned = await scanAdditionalContexts(contexts, { signal });
  assert.equal(
    scanned.map(({ name, tree }) => [name, tree.files]),
    [
      ['lib', 4],
      ['web', 1],
    ],
  );
});

test('says which context cannot be used', async () => {
  await using directory = await temporaryDirectory();
  await writeFiles(directory.path, { file: '', 'bad/.dockerignore': '[' });
  for (const name of ['file', 'nowhere', 'bad']) {
    const contexts = [{ name, path: join(directory.path, name) }];
    const failure = await failureOf(scanAdditionalContexts(contexts, { signal }));
    assert.is(failure.code, 'context-invalid');
    assert.ok(failure.message.startsWith(`additional context ${name}: `), failure.message);
  }
});

test('limits hold for all trees together', () => {
  const limits = { entries: 10, bytes: 100, pathBytes: 1, nameBytes: 1 };
  const tree = { files: 3, bytes: 50, entries: 5 };
  checkTogether([tree, tree], limits);
  assert.throws(() => checkTogether([tree, tree, { files: 1, bytes: 0 }], limits), /11 files, directories/);
  assert.throws(() => checkTogether([tree, { ...tree, bytes: 51 }], limits), /101 bytes of files/);
});

test.run();

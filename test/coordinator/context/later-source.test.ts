import { writeFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LaterSource } from '../../../coordinator/context/later-source.ts';
import { scanContext } from '../../../coordinator/context/scan.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import { failureOf } from '../../support/failure.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const { signal } = new AbortController();
const blobOf = (text: string) => {
  const bytes = Buffer.from(text);
  return { kind: 'blob', digest: digestOf(bytes), size: bytes.length, offset: 0 } as const;
};

test('reads nothing before something is wanted, once, and then only that has to be as it was', async () => {
  await using directory = await temporaryDirectory();
  await writeFile(`${directory.path}/same`, 'same');
  await writeFile(`${directory.path}/other`, 'by now');
  let scans = 0;
  const source = new LaterSource({
    of: 'old',
    async scan() {
      scans += 1;
      return [await scanContext(directory.path, { signal })];
    },
    pathOf: (build, digest) =>
      Promise.resolve(build === 'new' && digest === blobOf('before').digest ? 'other' : undefined),
  });
  source.submitted('new');
  assert.is(scans, 0);
  assert.is((await source.open(blobOf('same'), signal)).size, 4);
  const named = await failureOf(source.open(blobOf('before'), signal));
  assert.is(named instanceof ArchfarmError && named.code, 'context-changed');
  assert.match(named.message, /^"other" differs now from what build old was made of/);
  const unnamed = await failureOf(source.open(blobOf('unknown'), signal));
  assert.match(unnamed.message, /^a file \(sha256:[0-9a-f]{64}\) differs now/);
  const tree = await failureOf(source.open({ ...blobOf('tree'), kind: 'directory' }, signal));
  assert.match(tree.message, /lacks directories of build old, and its context differs now/);
  assert.is(scans, 1);
});

test('a context that is not there is an error that says how to name it', async () => {
  const source = new LaterSource({
    of: 'old',
    scan: () => Promise.reject(new ArchfarmError('unknown-name', 'nothing to build is called py-app')),
    pathOf: () => Promise.resolve(undefined),
  });
  const error = await failureOf(source.open(blobOf('x'), signal));
  assert.is(error instanceof ArchfarmError && error.code, 'context-invalid');
  assert.match(error.message, /cannot be read here: nothing to build is called py-app/);
});

test.run();

import { chmod, lstat, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  requireWritable,
  writeDigestFile,
  writeMetadataFile,
} from '../../../../coordinator/cli/progress/metadata.ts';
import { exampleResult } from '../../../support/frames.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

test('files are replaced whole, and nothing else is left beside them', async () => {
  await using dir = await temporaryDirectory();
  const metadata = path.join(dir.path, 'metadata.json');
  const digest = path.join(dir.path, 'iid');
  await writeFile(metadata, 'old');
  await writeMetadataFile(metadata, exampleResult);
  await writeDigestFile(digest, 'sha256:abc');
  const written: unknown = JSON.parse(await readFile(metadata, 'utf8'));
  assert.equal(written, exampleResult);
  assert.is(await readFile(digest, 'utf8'), 'sha256:abc');
  assert.equal((await readdir(dir.path)).toSorted(), ['iid', 'metadata.json']);
});

test('links and devices stay what they are', async () => {
  await using dir = await temporaryDirectory();
  const link = path.join(dir.path, 'link');
  const device = path.join(dir.path, 'device');
  await writeFile(path.join(dir.path, 'file'), 'old');
  await symlink('file', link);
  await symlink('/dev/null', device);
  await writeDigestFile(link, 'sha256:abc');
  await writeDigestFile(device, 'sha256:abc');
  assert.is(await readFile(path.join(dir.path, 'file'), 'utf8'), 'sha256:abc');
  assert.ok((await lstat(link)).isSymbolicLink());
  assert.ok((await lstat(device)).isSymbolicLink());
  assert.ok((await lstat('/dev/null')).isCharacterDevice());
});

test('a place that cannot be written is named', async () => {
  try {
    await writeDigestFile('/nowhere/iid', 'sha256:abc');
    assert.unreachable();
  } catch (error) {
    assert.match(String(error), /cannot write \/nowhere\/iid: ENOENT/);
  }
});

test('a file that is written again keeps its mode', async () => {
  await using dir = await temporaryDirectory();
  const file = path.join(dir.path, 'metadata.json');
  await writeFile(file, 'old');
  await chmod(file, 0o660);
  await writeMetadataFile(file, exampleResult);
  assert.is((await stat(file)).mode & 0o777, 0o660);
});

test('a directory is refused before anything is built', async () => {
  await using dir = await temporaryDirectory();
  try {
    await requireWritable(dir.path);
    assert.unreachable();
  } catch (error) {
    assert.match(String(error), `cannot write ${dir.path}: it is a directory`);
  }
  await requireWritable(path.join(dir.path, 'new'));
  await requireWritable('/dev/null');
});

test.run();

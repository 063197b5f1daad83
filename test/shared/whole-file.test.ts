import { chmod, mkdir, open, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { writeWhole, writeWholeSync } from '../../shared/whole-file.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const secret = { mode: 0o600 };

/** Both ways to write. */
const ways = [
  writeWhole,
  async (...given: Parameters<typeof writeWholeSync>): Promise<void> => writeWholeSync(...given),
];

test('a file has its new text and mode, whatever was there, and nothing else is left', async () => {
  for (const write of ways) {
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/a`;
    await write(path, 'one', secret);
    assert.is((await stat(path)).mode & 0o777, 0o600);
    await write(path, 'two', { mode: 0o644 });
    assert.is(await readFile(path, 'utf8'), 'two');
    assert.is((await stat(path)).mode & 0o777, 0o644);
    assert.equal(await readdir(directory.path), ['a']);
  }
});

test('what a crash left of the last time, or somebody put in its place, is not written to', async () => {
  for (const write of ways) {
    await using directory = await temporaryDirectory();
    const [path, other] = [`${directory.path}/a`, `${directory.path}/other`];
    await writeFile(other, 'as it was', { mode: 0o640 });
    await chmod(other, 0o640);
    for (const name of ['a.new', `a.${process.pid}.new`]) await symlink(other, `${directory.path}/${name}`);
    await write(path, 'text', secret);
    assert.is(await readFile(other, 'utf8'), 'as it was');
    assert.is((await stat(other)).mode & 0o777, 0o640);
    assert.is(await readFile(path, 'utf8'), 'text');
  }
});

test('where it cannot be written, what was there stays, and nothing is left beside it', async () => {
  for (const write of ways) {
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/a`;
    await mkdir(`${path}/b`, { recursive: true });
    const error: unknown = await write(path, 'text', secret).catch((thrown: unknown) => thrown);
    assert.match(String(error), /EISDIR|ENOTEMPTY|EEXIST/);
    assert.equal(await readdir(directory.path), ['a']);
  }
});

test('the text is on disk before the file has its name, and the name when it is said to be written', async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a`;
  await writeFile(path, 'old');
  const some = await open(path);
  await some.close();
  const prototype: { sync: (this: unknown) => Promise<void> } = Object.getPrototypeOf(some);
  const { sync } = prototype;
  const seen: string[] = [];
  prototype.sync = async function (this: unknown): Promise<void> {
    seen.push(await readFile(path, 'utf8'));
    return sync.call(this);
  };
  try {
    await writeWhole(path, 'new', secret);
  } finally {
    prototype.sync = sync;
  }
  assert.equal(seen, ['old', 'new']);
});

test.run();

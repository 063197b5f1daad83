/** Root writes the identity of a service that runs as somebody else, who has the directory and may put links there. */
import { chown, lstat, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readIdentity, writeCertificate, writeIdentity, type NewIdentity } from '../../agent/identity.ts';
import { failureOf } from '../support/failure.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../support/temporary-directory.ts';

const nobody = 65_534;
const identity: NewIdentity = {
  facts: { coordinator: 'https://coordinator.lab/', name: 'pi-01', platforms: [] },
  ca: 'AUTHORITY\n',
  certificate: 'KEY AND CERTIFICATE\n',
};
const names = ['agent.json', 'agent.pem', 'ca.crt'];

/** `data` of the service, and what is root's alone. */
async function host(directory: TemporaryDirectory): Promise<{ data: string; theirs: string; root: string }> {
  const [data, root] = [`${directory.path}/data`, `${directory.path}/root`];
  const theirs = `${data}/identity`;
  await mkdir(theirs, { recursive: true });
  for (const path of [data, theirs]) await chown(path, nobody, nobody);
  await mkdir(root, { mode: 0o700 });
  await writeFile(`${root}/shadow`, 'secret', { mode: 0o640 });
  return { data, theirs, root };
}

async function expectUnharmed(root: string): Promise<void> {
  assert.equal(await readdir(root), ['shadow']);
  assert.is(await readFile(`${root}/shadow`, 'utf8'), 'secret');
  for (const [path, mode] of [
    [root, 0o700],
    [`${root}/shadow`, 0o640],
  ] as const) {
    const stats = await stat(path);
    assert.equal({ uid: stats.uid, gid: stats.gid, mode: stats.mode & 0o777 }, { uid: 0, gid: 0, mode });
  }
}

test('what root writes for a service is its own, and for nobody else to read', async () => {
  await using directory = await temporaryDirectory();
  const { data, theirs } = await host(directory);
  await rm(theirs, { recursive: true });
  await writeIdentity(data, identity);
  await writeCertificate(data, 'RENEWED\n');
  assert.equal((await readdir(theirs)).toSorted(), names);
  for (const [path, mode] of [
    [theirs, 0o700],
    ...names.map((name) => [`${theirs}/${name}`, 0o600]),
  ] as const) {
    const stats = await stat(String(path));
    assert.equal([stats.uid, stats.gid, stats.mode & 0o777], [nobody, nobody, mode]);
  }
  assert.is(await readFile(`${theirs}/agent.pem`, 'utf8'), 'RENEWED\n');
  assert.is(readIdentity(data)?.name, 'pi-01');
});

test('root writes through no link that the user of the service has put in the place of a file', async () => {
  await using directory = await temporaryDirectory();
  const { data, theirs, root } = await host(directory);
  for (const name of names) {
    for (const link of [name, `${name}.new`, `${name}.${process.pid}.new`]) {
      await symlink(`${root}/shadow`, `${theirs}/${link}`);
    }
  }
  await writeIdentity(data, identity);
  await expectUnharmed(root);
  for (const name of names) assert.ok((await lstat(`${theirs}/${name}`)).isFile());
});

test('root refuses a directory that the user of the service has made a link', async () => {
  await using directory = await temporaryDirectory();
  const { data, theirs, root } = await host(directory);
  await rm(theirs, { recursive: true });
  await symlink(root, theirs);
  for (const work of [writeIdentity(data, identity), writeCertificate(data, 'RENEWED\n')]) {
    const { code, message, hint = '' } = await failureOf(work);
    assert.is(code, 'config');
    assert.is(message, `${theirs} is a link, which root does not follow for another user`);
    assert.match(hint, 'run this as the user that the agent runs as');
  }
  await expectUnharmed(root);
});

test('a link in a data directory that is the own one leads where its owner wants it', async () => {
  await using directory = await temporaryDirectory();
  const [data, elsewhere] = [`${directory.path}/data`, `${directory.path}/elsewhere`];
  for (const path of [data, elsewhere]) await mkdir(path);
  await symlink(elsewhere, `${data}/identity`);
  await writeIdentity(data, identity);
  assert.equal((await readdir(elsewhere)).toSorted(), names);
});

test.run();

import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { busyboxBase } from '../../../scripts/rig/base-image.ts';
import { startEmulation } from '../../../scripts/rig/emulation.ts';

const run = promisify(execFile);

test('an arm64 binary runs as long as one of several users is left', async () => {
  const busybox = `${await busyboxBase()}/arm64/usr/bin/busybox`;
  await using _first = await startEmulation();
  {
    await using _second = await startEmulation();
  }
  assert.is((await run(busybox, ['uname', '-m'])).stdout.trim(), 'aarch64');
});

test('an arm64 shell starts programs under their own names', async () => {
  const directory = `${await busyboxBase()}/arm64`;
  await using _emulation = await startEmulation();
  const { stdout } = await run('chroot', [directory, 'sh', '-c', 'echo b | cat']);
  assert.is(stdout, 'b\n');
});

test('a user that has gone is not counted any more', async () => {
  {
    await using _user = await startEmulation();
  }
  const users = await readdir('/run/archfarm-emulation').catch(() => []);
  assert.equal(
    users.filter((name) => name.endsWith(`-${process.pid}`)),
    [],
  );
});

test.run();

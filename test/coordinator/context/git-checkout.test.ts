import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkOut } from '../../../coordinator/context/git-checkout.ts';
import { failureOf } from '../../support/failure.ts';
import { commit, git } from '../../support/git.ts';
import { gitServer } from '../../support/git-server.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { writeFiles } from '../../support/write-files.ts';

// What is looked for there must be ours: other test files check out repositories at the same time.
const scratch = await temporaryDirectory();
process.env['TMPDIR'] = scratch.path;
test.after(async () => scratch[Symbol.asyncDispose]());

const signal = AbortSignal.timeout(300_000);
const user = 'alice';
const password = 'a=very secret';
const written = 'a=very%20secret';

/** With a file called after it, and below `at` a commit of what lies at `url`. */
async function repository(
  path: string,
  submodule?: { readonly at: string; readonly url: string; readonly commit: string },
): Promise<string> {
  const name = path.slice(path.lastIndexOf('/') + 1);
  await writeFiles(path, { [`${name}.txt`]: name });
  git(path, 'init', '--quiet');
  const first = commit(path, 'first');
  if (submodule === undefined) return first;
  const { at, url } = submodule;
  await writeFiles(path, { '.gitmodules': `[submodule "${at}"]\n\tpath = ${at}\n\turl = ${url}\n` });
  git(path, 'add', '.gitmodules');
  git(path, 'update-index', '--add', '--cacheinfo', `160000,${submodule.commit},${at}`);
  git(path, 'commit', '--quiet', '--message', 'submodule');
  return git(path, 'rev-parse', 'HEAD');
}

/** What checkouts that are under way hold on disk of the password. */
function filesWithPassword(): string {
  const checkouts = readdirSync(tmpdir()).filter((name) => name.startsWith('archfarm-git-'));
  return spawnSync('grep', ['-rlE', 'very(%20| )secret', '--', ...checkouts], {
    cwd: tmpdir(),
    encoding: 'utf8',
  }).stdout;
}

test('URLs of submodules are relative to their repository, with its credentials, which no disk sees', async () => {
  await using directory = await temporaryDirectory();
  const { path: root } = directory;
  const dep = await repository(join(root, 'libraries/dep'));
  const lib = await repository(join(root, 'libraries/lib'), { at: 'dep', url: '../dep', commit: dep });
  await repository(join(root, 'apps/app'), { at: 'vendor/lib', url: '../../libraries/lib', commit: lib });
  const asked = new Set<string>();
  const onDisk: string[] = [];
  await using server = await gitServer(root, {
    user,
    password,
    onRequest(path) {
      asked.add(path.split('/', 3).join('/'));
      onDisk.push(filesWithPassword());
    },
  });
  const url = new URL('apps/app', server.url).href.replace('//', `//${user}:${written}@`);
  await using checkout = await checkOut({ type: 'git', url }, signal);
  assert.is(await readFile(join(checkout.path, 'vendor/lib/lib.txt'), 'utf8'), 'lib');
  assert.is(await readFile(join(checkout.path, 'vendor/lib/dep/dep.txt'), 'utf8'), 'dep');
  assert.equal([...asked], ['/apps/app', '/libraries/lib', '/libraries/dep']);
  assert.is(onDisk.join(''), '');
});

test('a submodule that is not there is an error that names its URL, without credentials', async () => {
  await using directory = await temporaryDirectory();
  const { path: root } = directory;
  await repository(join(root, 'app'), { at: 'lib', url: '../lib', commit: '1'.repeat(40) });
  await using server = await gitServer(root, { user, password });
  const { href } = new URL('app', server.url);
  const url = href.replace('//', `//${user}:${written}@`);
  const error = await failureOf(checkOut({ type: 'git', url }, signal));
  assert.is(error.code, 'context-invalid');
  assert.ok(error.message.startsWith(`cannot fetch ${href}: `), error.message);
  assert.ok(error.message.includes(new URL('lib', server.url).href), error.message);
  assert.not.match(error.message, /secret/);
});

test.run();

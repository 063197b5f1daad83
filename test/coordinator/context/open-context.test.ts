import { execFileSync } from 'node:child_process';
import { chmod, readdir, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { gitEnvironment } from '../../../coordinator/context/git-environment.ts';
import { openContext, type OpenedContext } from '../../../coordinator/context/open-context.ts';
import { scanContext } from '../../../coordinator/context/scan.ts';
import { SnapshotSource } from '../../../coordinator/context/snapshot.ts';
import type { BuildPlan } from '../../../coordinator/project/spec.ts';
import { failureOf } from '../../support/failure.ts';
import { commit, git } from '../../support/git.ts';
import { collect } from '../../support/memory-tree.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { writeFiles } from '../../support/write-files.ts';

// What is looked for there must be ours: other test files check out repositories at the same time.
const scratch = await temporaryDirectory();
process.env['TMPDIR'] = scratch.path;
test.after(async () => scratch[Symbol.asyncDispose]());

const signal = AbortSignal.timeout(300_000);
const files = {
  Dockerfile: 'FROM scratch',
  'sub/Web': 'FROM web',
  'sub/a.txt': 'content',
  'sub/noise.log': 'x',
  '.dockerignore': '**/*.log',
};

function open(context: BuildPlan['context'], dockerfile = 'Dockerfile'): Promise<OpenedContext> {
  const sources = { context, dockerfile: { type: 'context', path: dockerfile }, perPlatform: {} } as const;
  return openContext(sources, { statCache: '/nowhere', signal });
}

async function* stdinOf(...pieces: readonly (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) yield Buffer.from(piece);
}

test('a Dockerfile may come by the standard input, with a context or with none', async () => {
  await using directory = await temporaryDirectory();
  const root = await writeFiles(directory.path, files);
  const text = '# syntax is Docker\u2019s own\nFROM scratch\nCOPY a /\n';
  const given = async (sources: Parameters<typeof openContext>[0], ...pieces: (string | Buffer)[]) =>
    openContext(sources, { statCache: '/nowhere', signal, stdin: stdinOf(...pieces) });
  const context = { type: 'directory', path: root } as const;
  {
    await using opened = await given(
      { context, dockerfile: { type: 'stdin' }, perPlatform: {} },
      text.slice(0, 20),
      text.slice(20),
    );
    assert.is(await dockerfileOf(opened), text);
    assert.is(opened.context.files, 4);
  }
  const plain = { context: { type: 'tar' }, perPlatform: {} } as const;
  const usual = { type: 'context', path: 'Dockerfile' } as const;
  const long = `${text}${'# more\n'.repeat(100_000)}`;
  for (const [piece, ...more] of [[text], ['F', 'ROM x'], ['\uFEFFFROM x'], [long]]) {
    await using opened = await given({ ...plain, dockerfile: usual }, piece ?? '', ...more);
    assert.is(await dockerfileOf(opened), [piece, ...more].join(''));
    assert.is(opened.context.files, 0);
  }
  const archive = execFileSync('tar', ['-C', root, '-cf', '-', '.']);
  for (const pieces of [[archive], [archive.subarray(0, 1), archive.subarray(1)], [gzipSync(archive)]]) {
    await using opened = await given({ ...plain, dockerfile: usual }, ...pieces);
    assert.is(await dockerfileOf(opened), 'FROM scratch');
  }
  const golden: [sources: Parameters<typeof openContext>[0], piece: string | Buffer, message: RegExp][] = [
    [{ ...plain, dockerfile: { type: 'context', path: 'Web' } }, text, /the standard input is a Dockerfile/],
    [{ ...plain, dockerfile: usual }, '', /the standard input is not a whole tar archive: it is empty/],
    [{ ...plain, dockerfile: usual }, 'BZh91AY&SYS', /the standard input is not a whole tar archive/],
    [{ ...plain, dockerfile: usual }, 'x'.repeat(17 * 1024 * 1024), /more than 16777216 bytes/],
    [{ context, dockerfile: { type: 'stdin' }, perPlatform: {} }, '', /the standard input is empty/],
  ];
  for (const [sources, piece, message] of golden)
    assert.match((await failureOf(given(sources, piece))).message, message);
});

function variables(given: Readonly<Record<string, string>>): Disposable {
  const before = Object.keys(given).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, given);
  return {
    [Symbol.dispose]: () => {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    },
  };
}

async function leftovers(): Promise<string[]> {
  return (await readdir(tmpdir())).filter((name) => /^archfarm-(git|tar)-/.test(name));
}

async function dockerfileOf({ context, dockerfile }: OpenedContext): Promise<string> {
  const source = new SnapshotSource([dockerfile, context]);
  const [[digest] = ['']] = dockerfile.contents;
  return (
    await collect((await source.open({ kind: 'blob', digest, size: 0, offset: 0 }, signal)).chunks)
  ).toString();
}

test('a tar archive, plain or gzip, is the same tree as its directory', async () => {
  await using directory = await temporaryDirectory();
  const root = await writeFiles(join(directory.path, 'context'), files);
  await symlink('sub/a.txt', join(root, 'link'));
  const { root: expected } = await scanContext(root, { signal });
  for (const [index, flags] of [['-cf'], ['-czf'], ['--format=v7', '-cf']].entries()) {
    const path = join(directory.path, `${index}.tar`);
    execFileSync('tar', ['-C', root, ...flags, path, '.']);
    const before = await leftovers();
    {
      await using opened = await open({ type: 'tar', path }, 'sub/Web');
      assert.is(opened.context.root, expected);
      assert.is(opened.dockerfile.name, 'Web');
      assert.is(await dockerfileOf(opened), 'FROM web');
      for (const [digest] of opened.context.contents) {
        const source = new SnapshotSource([opened.context]);
        await collect((await source.open({ kind: 'blob', digest, size: 0, offset: 0 }, signal)).chunks);
      }
    }
    assert.equal(await leftovers(), before);
  }
});

test('a git repository is checked out at a branch, a tag, a commit or a directory of it', async () => {
  await using directory = await temporaryDirectory();
  const repository = await writeFiles(join(directory.path, 'repository'), files);
  git(repository, 'init', '--quiet');
  const first = commit(repository, 'first');
  git(repository, 'tag', 'v1');
  await writeFiles(repository, { Dockerfile: 'FROM second' });
  commit(repository, 'second');
  const url = `file://${repository}`;
  const golden = [
    [undefined, 'FROM second', 4],
    ['main', 'FROM second', 4],
    ['v1', 'FROM scratch', 4],
    [first, 'FROM scratch', 4],
  ] as const;
  const before = await leftovers();
  for (const [ref, dockerfile, count] of golden) {
    await using opened = await open({ type: 'git', url, ref });
    assert.is(await dockerfileOf(opened), dockerfile);
    assert.is(opened.context.files, count, ref);
  }
  {
    await using opened = await open({ type: 'git', url, subdirectory: 'sub' }, 'Web');
    assert.is(await dockerfileOf(opened), 'FROM web');
    assert.is(opened.context.files, 3);
  }
  assert.equal(await leftovers(), before);
});

test('a git repository is the same tree whatever umask it is fetched under', async () => {
  await using directory = await temporaryDirectory();
  const repository = await writeFiles(join(directory.path, 'repository'), files);
  await chmod(join(repository, 'sub/a.txt'), 0o755);
  git(repository, 'init', '--quiet');
  commit(repository, 'first');
  const roots = new Set<string>();
  const before = process.umask();
  try {
    for (const umask of [0o022, 0o077, 0o002]) {
      process.umask(umask);
      await using opened = await open({ type: 'git', url: `file://${repository}` });
      roots.add(opened.context.root);
    }
  } finally {
    process.umask(before);
  }
  assert.is(roots.size, 1);
});

test('a git context of a git hook leaves the repository of the hook alone', async () => {
  await using directory = await temporaryDirectory();
  const repository = await writeFiles(join(directory.path, 'repository'), files);
  git(repository, 'init', '--quiet');
  commit(repository, 'first');
  const own = await writeFiles(join(directory.path, 'own'), { 'own.txt': 'own' });
  git(own, 'init', '--quiet');
  const head = commit(own, 'own');
  const hook = {
    GIT_DIR: join(own, '.git'),
    GIT_WORK_TREE: own,
    GIT_INDEX_FILE: join(own, '.git', 'index'),
    GIT_OBJECT_DIRECTORY: join(own, '.git', 'objects'),
    GIT_QUARANTINE_PATH: join(own, '.git', 'objects'),
    GIT_NAMESPACE: 'other',
    GIT_PREFIX: 'sub/',
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'core.worktree',
    GIT_CONFIG_VALUE_0: own,
  };
  {
    using _environment = variables(hook);
    await using opened = await open({ type: 'git', url: `file://${repository}` });
    assert.is(await dockerfileOf(opened), 'FROM scratch');
    assert.is(opened.context.files, 4);
  }
  assert.equal((await readdir(own)).toSorted(), ['.git', 'own.txt']);
  assert.is(git(own, 'status', '--short'), '');
  assert.is(git(own, 'rev-parse', 'HEAD'), head);
  assert.is(git(own, 'rev-parse', '--abbrev-ref', 'HEAD'), 'main');
});

test('nothing that git says is of one repository alone reaches another', () => {
  const local = git('/', 'rev-parse', '--local-env-vars').split('\n');
  const kept = gitEnvironment({ ...Object.fromEntries(local.map((name) => [name, 'x'])), GIT_SSH: 'y' });
  assert.equal(
    Object.keys(kept).filter((name) => local.includes(name)),
    [],
  );
  assert.is(kept['GIT_SSH'], 'y');
});

test('what cannot be fetched is an error with URL and reference, and leaves nothing [X2]', async () => {
  await using directory = await temporaryDirectory();
  const repository = await writeFiles(join(directory.path, 'repository'), files);
  git(repository, 'init', '--quiet');
  await symlink('/etc/hostname', join(repository, 'Outside'));
  await symlink('/etc', join(repository, 'etc'));
  commit(repository, 'first');
  const url = `file://${repository}`;
  const before = await leftovers();
  const golden: [context: BuildPlan['context'], dockerfile: string, message: RegExp][] = [
    [
      { type: 'git', url: `${url}-gone` },
      'Dockerfile',
      /cannot fetch .*repository-gone: .*(exist|repository)/,
    ],
    [{ type: 'git', url, ref: 'nowhere' }, 'Dockerfile', /cannot fetch .*repository#nowhere: .*nowhere/],
    [{ type: 'git', url, subdirectory: 'etc' }, 'Dockerfile', /no directory etc in/],
    [{ type: 'git', url }, 'Outside', /"Outside" leads out of the repository/],
    [{ type: 'git', url }, 'Missing', /No Dockerfile: Missing does not exist in file:/],
  ];
  for (const [context, dockerfile, message] of golden) {
    const error = await failureOf(open(context, dockerfile));
    assert.is(error.code, 'context-invalid');
    assert.match(error.message, message);
  }
  assert.equal(await leftovers(), before);
  assert.ok((await stat(repository)).isDirectory());
});

test('ignore files of a git repository may be links within it, but none that lead out [X2]', async () => {
  await using directory = await temporaryDirectory();
  const { path: root } = directory;
  await writeFiles(root, { secret: 'guess\n[' });
  const { '.dockerignore': rules, ...others } = files;
  const repository = await writeFiles(join(root, 'repository'), { ...others, rules });
  await symlink('rules', join(repository, '.dockerignore'));
  await symlink('../rules', join(repository, 'sub/.dockerignore'));
  git(repository, 'init', '--quiet');
  commit(repository, 'first');
  const url = `file://${repository}`;
  for (const [subdirectory, dockerfile, count] of [
    [undefined, 'Dockerfile', 4],
    ['sub', 'Web', 2],
  ] as const) {
    await using opened = await open({ type: 'git', url, subdirectory }, dockerfile);
    assert.is(opened.context.files, count);
  }
  await symlink(join(root, 'secret'), join(repository, 'sub/Web.dockerignore'));
  await rm(join(repository, '.dockerignore'));
  await symlink(join(root, 'secret'), join(repository, '.dockerignore'));
  commit(repository, 'second');
  const golden = [
    ['Dockerfile', '".dockerignore" leads out of the repository'],
    ['sub/Web', '"sub/Web.dockerignore" leads out of the repository'],
  ] as const;
  for (const [dockerfile, message] of golden) {
    const error = await failureOf(open({ type: 'git', url }, dockerfile));
    assert.is(error.code, 'context-invalid');
    assert.is(error.message, message);
  }
});

test('without git a context of it says what to install', async () => {
  const before = await leftovers();
  using _environment = variables({ PATH: '/nowhere' });
  const error = await failureOf(open({ type: 'git', url: 'file:///nowhere' }));
  assert.match(error.message, 'there is no git command');
  assert.equal(await leftovers(), before);
});

test.run();

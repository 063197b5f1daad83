import { execFileSync } from 'node:child_process';
import { chmod, link, mkdir, rename, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { scanContext, type ScanOptions } from '../../../coordinator/context/scan.ts';
import { Pace } from '../../../coordinator/context/pace.ts';
import { SnapshotSource, type Snapshot } from '../../../coordinator/context/snapshot.ts';
import { decodeDirectory } from '../../../shared/context/encoding.ts';
import { defaultLimits, type ContextLimits } from '../../../shared/context/limits.ts';
import { select } from '../../../shared/context/select.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import { failureOf } from '../../support/failure.ts';
import { collect } from '../../support/memory-tree.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const signal = AbortSignal.timeout(300_000);

async function write(root: string, files: Readonly<Record<string, string | Buffer>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
}

function scan(root: string, options: Partial<ScanOptions> = {}): Promise<Snapshot> {
  return scanContext(root, { signal, ...options });
}

async function listing(snapshot: Snapshot): Promise<string[]> {
  const source = {
    directory: async (digest: string) =>
      decodeDirectory(digest, snapshot.directories.get(digest) ?? Buffer.alloc(0)),
  };
  const everything = { followPaths: [], includePatterns: [], excludePatterns: [] };
  const lines: string[] = [];
  for await (const { path, entry } of select({ root: snapshot.root }, everything, source, signal)) {
    const mode = 'mode' in entry ? ` ${entry.mode.toString(8)}` : '';
    const target = 'target' in entry ? ` > ${entry.target}` : '';
    lines.push(`${entry.type[0]} ${path}${mode}${target}`);
  }
  return lines;
}

/** Fetches one file of a snapshot as a coordinator would. */
async function fetchFile(snapshot: Snapshot, offset = 0): Promise<Buffer> {
  const [[digest, file] = ['', Buffer.alloc(0)]] = snapshot.contents;
  const size = Buffer.isBuffer(file) ? file.length : file.size;
  const source = new SnapshotSource([snapshot]);
  return collect((await source.open({ kind: 'blob', digest, size, offset }, signal)).chunks);
}

/** Does something once, between two of the calls that a scan makes of its directory. */
class Interference extends Pace {
  done = false;
  readonly #act: () => void;
  #callsLeft: number;

  constructor(act: () => void, { pooled, after }: { readonly pooled: boolean; readonly after: number }) {
    super({ pooled });
    this.#act = act;
    this.#callsLeft = after;
  }

  override made(calls: number, milliseconds?: number): void {
    super.made(calls, milliseconds);
    this.#count();
  }

  override async breathe(): Promise<void> {
    await super.breathe();
    this.#count();
  }

  #count(): void {
    if (this.#callsLeft-- !== 0) return;
    this.#act();
    this.done = true;
  }
}

/** Messages of the scans during which `path` went away, one at each moment; those that succeed must be of one tree. */
async function messagesOfLoss(path: string, rules: string, pooled: boolean): Promise<Set<string>> {
  const messages = new Set<string>();
  const roots = new Set<string>();
  for (let after = 0; ; after++) {
    await using directory = await temporaryDirectory();
    const root = directory.path;
    await chmod(root, 0o755);
    await write(root, { '.dockerignore': rules, '.git/hooks/a': '', '.git/index.lock': '', 'a.go': '' });
    await write(root, { '.git/refs/heads/main': '', '.git/refs/tags/v1': '' });
    const lose = (): void => rmSync(join(root, path), { recursive: true });
    const pace = new Interference(lose, { pooled, after });
    try {
      roots.add((await scan(root, { pace })).root);
    } catch (error) {
      if (!(error instanceof ArchfarmError)) throw error;
      messages.add(`${error.code}: ${error.message}`);
    }
    if (!pace.done) break;
  }
  if (messages.size === 0) assert.is(roots.size, 1);
  return messages;
}

test('keeps types, modes, links and names of all kinds [X3, X6]', async () => {
  await using directory = await temporaryDirectory();
  const root = directory.path;
  await write(root, { 'run.sh': '#!', 'ü/💡 new\nline': 'x', '-dash': '', 'z first.txt': 'linked' });
  await chmod(join(root, 'run.sh'), 0o4755);
  await mkdir(join(root, 'empty'), { mode: 0o700 });
  await symlink('/etc/passwd', join(root, 'outside'));
  await symlink('missing', join(root, 'dangling'));
  await link(join(root, 'z first.txt'), join(root, 'a name of it'));
  await link(join(root, 'z first.txt'), join(root, 'ü/another'));
  for (const path of ['-dash', 'z first.txt', 'ü/💡 new\nline']) await chmod(join(root, path), 0o644);
  await chmod(join(root, 'ü'), 0o755);
  const snapshot = await scan(root);
  assert.equal(await listing(snapshot), [
    'f -dash 644',
    'f a name of it 644',
    's dangling > missing',
    'd empty 700',
    's outside > /etc/passwd',
    'f run.sh 4755',
    'h z first.txt > a name of it',
    'd ü 755',
    'h ü/another > a name of it',
    'f ü/💡 new\nline 644',
  ]);
  assert.equal([snapshot.files, snapshot.bytes, snapshot.warnings], [4, 9, []]);
});

test('two copies with other times have one digest; content, mode and name change it', async () => {
  await using directory = await temporaryDirectory();
  const [one, two] = [join(directory.path, 'one'), join(directory.path, 'two')];
  for (const root of [one, two]) await write(root, { 'a/b': 'content', c: 'd' });
  await utimes(join(two, 'a/b'), 1, 1);
  const { root } = await scan(one);
  assert.is((await scan(two)).root, root);
  await chmod(join(two, 'c'), 0o600);
  assert.is.not((await scan(two)).root, root);
});

test('leaves out what is ignored, does not read it, and keeps the ignore file itself', async () => {
  await using directory = await temporaryDirectory();
  await write(directory.path, {
    '.dockerignore': '*\n!src\nsrc/**/*.log\n!keep/me\n',
    'src/a.ts': '',
    'src/deep/x.log': '',
    'keep/me': '',
    'keep/not': '',
    'big/data': '',
    Dockerfile: '',
  });
  const paths = (await listing(await scan(directory.path))).map((line) => line.split(' ')[1]);
  assert.equal(paths, ['.dockerignore', 'keep', 'keep/me', 'src', 'src/a.ts', 'src/deep']);
});

test("the ignore file of the Dockerfile replaces the context's", async () => {
  await using directory = await temporaryDirectory();
  await write(directory.path, { '.dockerignore': 'a', 'Other.dockerignore': 'b', a: '', b: '' });
  const snapshot = await scan(directory.path, { dockerfile: join(directory.path, 'Other') });
  const paths = (await listing(snapshot)).map((line) => line.split(' ')[1]);
  assert.equal(paths, ['.dockerignore', 'Other.dockerignore', 'a']);
});

test('an invalid pattern names the ignore file and the line', async () => {
  await using directory = await temporaryDirectory();
  await write(directory.path, { '.dockerignore': 'fine\n[' });
  const error = await failureOf(scan(directory.path));
  assert.is(error.code, 'context-invalid');
  assert.match(error.message, /\.dockerignore, line 2: invalid pattern "\["/);
});

test('sockets and pipes are left out with one warning that names them [X4]', async () => {
  await using directory = await temporaryDirectory();
  await write(directory.path, { file: 'x', '.dockerignore': 'ignored*' });
  for (const name of ['pipe', 'ignored pipe']) execFileSync('mkfifo', [join(directory.path, name)]);
  const server = createServer().listen(join(directory.path, 'a socket'));
  await once(server, 'listening');
  const snapshot = await scan(directory.path);
  server.close();
  assert.is(snapshot.files, 2);
  assert.is(snapshot.warnings.length, 1);
  assert.match(snapshot.warnings[0] ?? '', /: "a socket", "pipe"$/);
});

test('the warning names a few of many pipes', async () => {
  await using directory = await temporaryDirectory();
  const names = Array.from({ length: 12 }, (_, index) => `pipe-${String(index).padStart(2, '0')}`);
  for (const name of names) execFileSync('mkfifo', [join(directory.path, name)]);
  const { warnings } = await scan(directory.path);
  const named = names.slice(0, 10).map((name) => JSON.stringify(name));
  assert.equal(warnings, [
    `left out sockets, pipes and devices, which no image can hold: ${named.join(', ')} and 2 more`,
  ]);
});

test('a file system that is slow to answer is asked in parallel, and the tree is the same', async () => {
  await using directory = await temporaryDirectory();
  const files = Array.from({ length: 200 }, (_, index) => [
    `d${index % 7}/f${index}`,
    `content ${index % 50}`,
  ]);
  await write(directory.path, Object.fromEntries(files));
  await write(directory.path, { large: Buffer.alloc(700_000, 'large'), '.dockerignore': 'd3/*\n!d3/f3' });
  await symlink('large', join(directory.path, 'symlink'));
  await link(join(directory.path, 'd1/f1'), join(directory.path, 'd6/twin'));
  const direct = await scan(directory.path);
  const pooled = await scan(directory.path, { pace: new Pace({ pooled: true }) });
  assert.equal(
    [pooled.root, pooled.files, pooled.bytes, pooled.entries],
    [direct.root, direct.files, direct.bytes, direct.entries],
  );
  for (const [digest] of direct.contents) assert.ok(pooled.contents.has(digest));
});

test('an interrupt ends the scan', async () => {
  await using directory = await temporaryDirectory();
  await write(directory.path, { a: 'a', large: Buffer.alloc(300_000) });
  const aborted = AbortSignal.abort(new ArchfarmError('cancelled', 'interrupted'));
  for (const pooled of [true, false]) {
    const options = { pace: new Pace({ pooled }), signal: aborted };
    assert.is((await failureOf(scan(directory.path, options))).code, 'cancelled');
  }
});

test('what goes away during a scan is an error that names it, unless it is ignored [X12]', async () => {
  const ignored = '*\n!**/*.go\n';
  for (const pooled of [false, true]) {
    for (const path of ['.git/index.lock', '.git/refs', '.git']) {
      assert.equal([...(await messagesOfLoss(path, ignored, pooled))], [], `${path}, pooled: ${pooled}`);
      const [message = ''] = await messagesOfLoss(path, '', pooled);
      assert.ok(message.startsWith(`context-changed: "${path}`), message);
    }
    for (const path of ['a.go', '.dockerignore']) {
      const [message = ''] = await messagesOfLoss(path, ignored, pooled);
      assert.ok(message.startsWith(`context-changed: "${path}"`), message);
    }
  }
});

test('an unreadable file is an error that names it, unless it is ignored [X12]', async () => {
  await using directory = await temporaryDirectory();
  await write(directory.path, { 'sub/secret': 'x', 'sub/plain': 'y' });
  await chmod(directory.path, 0o755);
  await chmod(join(directory.path, 'sub/secret'), 0);
  const isRoot = process.geteuid?.() === 0;
  try {
    if (isRoot) process.seteuid?.(65_534);
    const error = await failureOf(scan(directory.path));
    assert.is(error.code, 'context-invalid');
    assert.match(error.message, /"sub\/secret": permission denied/);
    if (isRoot) process.seteuid?.(0);
    await write(directory.path, { '.dockerignore': 'sub/secret' });
    if (isRoot) process.seteuid?.(65_534);
    assert.is((await scan(directory.path)).files, 2);
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});

test('a name that is not UTF-8 is an error [X6]', async () => {
  await using directory = await temporaryDirectory();
  await writeFile(Buffer.concat([Buffer.from(`${directory.path}/caf`), Buffer.from([0xe9])]), '');
  const error = await failureOf(scan(directory.path));
  assert.is(error.code, 'context-invalid');
  assert.match(error.message, /not UTF-8/);
});

test('limits are errors that say which, the value, and how to raise it [X6, X7, X8]', async () => {
  await using directory = await temporaryDirectory();
  await write(directory.path, { a: '12345', 'sub/b': '6' });
  await link(join(directory.path, 'a'), join(directory.path, 'a2'));
  const flag = /archfarm build --context-limit /;
  const golden: readonly [limits: Partial<ContextLimits>, message: RegExp, hint: RegExp][] = [
    [
      { entries: 3 },
      /the context has 4 files, directories and links, more than the limit of 3$/,
      /entries=6$/,
    ],
    [{ bytes: 5 }, /the context has 6 bytes of files, more than the limit of 5$/, /bytes=10$/],
    [{ pathBytes: 4 }, /"sub\/b" has 5 bytes in a path, more than the limit of 4$/, /path=8$/],
    [{ nameBytes: 2 }, /"sub" has 3 bytes in a name, more than the limit of 2$/, /^shorten it, .*name=4$/],
  ];
  for (const [changed, message, hint] of golden) {
    const error = await failureOf(scan(directory.path, { limits: { ...defaultLimits, ...changed } }));
    assert.is(error.code, 'context-limit');
    assert.match(error.message, message);
    assert.match(error.hint ?? '', hint);
    assert.match(error.hint ?? '', flag);
  }
  await scan(directory.path, { limits: { entries: 4, bytes: 6, pathBytes: 5, nameBytes: 3 } });
});

test('a sparse file counts as what it says it holds, and is not read for that [X5]', async () => {
  await using directory = await temporaryDirectory();
  await write(directory.path, { sparse: '' });
  await truncate(join(directory.path, 'sparse'), 30 * 1024 ** 3);
  const started = performance.now();
  const error = await failureOf(scan(directory.path));
  assert.is(error.code, 'context-limit');
  assert.match(error.message, /32212254720 bytes of files/);
  // To read it takes a minute.
  assert.ok(performance.now() - started < 10_000);
});

test('a context that is missing or no directory is an error that names it', async () => {
  await using directory = await temporaryDirectory();
  await write(directory.path, { file: '' });
  for (const name of ['missing', 'file']) {
    const error = await failureOf(scan(join(directory.path, name)));
    assert.is(error.code, 'context-invalid');
    assert.ok(error.message.includes(join(directory.path, name)), error.message);
  }
});

test('sends a file whole or from an offset', async () => {
  await using directory = await temporaryDirectory();
  const content = Buffer.alloc(400_000, 'abcdefg');
  await write(directory.path, { file: content });
  const snapshot = await scan(directory.path);
  assert.ok((await fetchFile(snapshot)).equals(content));
  assert.ok((await fetchFile(snapshot, 131_071)).equals(content.subarray(131_071)));
});

test('a file that is not what was scanned is an error that names it, however it changed [X12]', async () => {
  const changes: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
    grew: (path) => writeFile(path, Buffer.alloc(300_001, 'x')),
    shrank: (path) => writeFile(path, 'x'),
    vanished: (path) => rm(path),
    'became a link': async (path) => {
      await rename(path, `${path}2`);
      await symlink(`${path}2`, path);
    },
    'was touched': (path) => utimes(path, 1, 1),
    'has other bytes under the same size and time': async (path) => {
      await writeFile(path, Buffer.alloc(300_000, 'y'));
      await utimes(path, 1000, 1000);
    },
  };
  for (const [what, change] of Object.entries(changes)) {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'file');
    await write(directory.path, { file: Buffer.alloc(300_000, 'x') });
    await utimes(path, 1000, 1000);
    const snapshot = await scan(directory.path);
    await change(path);
    const error = await failureOf(fetchFile(snapshot));
    assert.is(error.code, 'context-changed', what);
    assert.match(error.message, /"file" changed/, what);
  }
});

test.run();

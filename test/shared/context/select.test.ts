import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { everything, select, type Selection } from '../../../shared/context/select.ts';
import { findEntry } from '../../../shared/context/lookup.ts';
import { dir, memoryTree, type MemoryTree } from '../../support/memory-tree.ts';
import { Random } from '../../support/random.ts';

async function paths(tree: MemoryTree, selection: Partial<Selection>): Promise<string[]> {
  const found: string[] = [];
  const full = { followPaths: [], includePatterns: [], excludePatterns: [], ...selection };
  for await (const { path, entry } of select({ root: tree.root }, full, tree, AbortSignal.timeout(5000))) {
    found.push(entry.type === 'hardlink' ? `${path} = ${entry.target}` : path);
  }
  return found;
}

const project = memoryTree(
  dir(
    ['Dockerfile', 'FROM scratch'],
    ['app', dir(['main.py', 'x'], ['lib', dir(['a.py', 'a'], ['b.pyc', 'b'])])],
    ['app!', 'sorts after app and before app/…'],
    ['docs', dir(['readme.md', 'r'], ['keep', dir(['me.md', 'm'])])],
    ['empty', dir()],
  ),
);

test('gives all entries depth first, a directory right before what it holds', async () => {
  assert.equal(await paths(project, {}), [
    'Dockerfile',
    'app',
    'app/lib',
    'app/lib/a.py',
    'app/lib/b.pyc',
    'app/main.py',
    'app!',
    'docs',
    'docs/keep',
    'docs/keep/me.md',
    'docs/readme.md',
    'empty',
  ]);
});

test('sends the parents of what is included and no others', async () => {
  assert.equal(await paths(project, { includePatterns: ['app/lib/a.py'] }), [
    'app',
    'app/lib',
    'app/lib/a.py',
  ]);
  assert.equal(await paths(project, { includePatterns: ['**/*.md'] }), [
    'docs',
    'docs/keep',
    'docs/keep/me.md',
    'docs/readme.md',
  ]);
});

test('leaves out what is excluded, with exceptions', async () => {
  assert.equal(await paths(project, { excludePatterns: ['app', 'docs', '!docs/keep', 'D*'] }), [
    'app!',
    'docs',
    'docs/keep',
    'docs/keep/me.md',
    'empty',
  ]);
  assert.equal(await paths(project, { followPaths: ['app'], excludePatterns: ['**/*.pyc'] }), [
    'app',
    'app/lib',
    'app/lib/a.py',
    'app/main.py',
  ]);
});

test('does not read directories that nothing can be selected from', async () => {
  const read: string[] = [];
  const counting = {
    ...project,
    directory: (digest: string, signal: AbortSignal) => {
      read.push(digest);
      return project.directory(digest, signal);
    },
  };
  await paths(counting, { followPaths: ['docs/keep'] });
  assert.is(
    read.filter((digest) => digest !== project.root).length,
    3,
    'docs for following and for walking, keep for walking',
  );
});

/** The cases of fsutil's own tests. */
test('follows links, absolute ones within the tree, and through wildcards', async () => {
  const links = memoryTree(
    dir(
      [
        'dir',
        dir(
          ['foo', 'contents'],
          ['l1', { link: 'foo' }],
          ['up', { link: '/foo/bar/baz' }],
          ['root', { link: '/' }],
        ),
      ],
      ['foo', dir(['bar', { link: '../../../' }], ['bar1', '1'], ['bar2', { link: '../baz' }])],
      ['l2', { link: 'dir/l1' }],
      ['loop', { link: 'loop' }],
      ['m1', { link: 'foo/bar1' }],
      ['m2', { link: '/foo/bar2' }],
      ['bar', ''],
      ['baz', ''],
    ),
  );
  assert.equal(await paths(links, { followPaths: ['l2', 'bar'] }), ['bar', 'dir', 'dir/foo', 'dir/l1', 'l2']);
  assert.equal(await paths(links, { followPaths: ['loop'] }), ['loop']);
  assert.equal(await paths(links, { followPaths: ['dir/up'] }), ['baz', 'dir', 'dir/up', 'foo', 'foo/bar']);
  assert.equal(await paths(links, { followPaths: ['m*'] }), [
    'baz',
    'foo',
    'foo/bar1',
    'foo/bar2',
    'm1',
    'm2',
  ]);
  assert.equal(await paths(links, { followPaths: ['f*/no/t*'] }), []);
  assert.is((await paths(links, { followPaths: ['dir/root'] })).length, (await paths(links, {})).length);
});

test('the first selected name of a file stands for it, the others link to that', async () => {
  const tree = memoryTree(
    dir(['a', dir(['one', 'content'])], ['b', { hardlink: 'a/one' }], ['c', { hardlink: 'a/one' }]),
  );
  assert.equal(await paths(tree, {}), ['a', 'a/one', 'b = a/one', 'c = a/one']);
  assert.equal(await paths(tree, { excludePatterns: ['a'] }), ['b', 'c = b']);
});

test('refuses a hard link to what is no earlier file', async () => {
  for (const target of ['z', 'd', 'd/x', 'b']) {
    const tree = memoryTree(dir(['b', { hardlink: target }], ['d', dir()], ['z', 'later']));
    let message = '';
    await paths(tree, {}).catch((error: unknown) => (message = String(error)));
    assert.match(message, /"b" is a hard link to/, target);
  }
});

test('lets others have their turn and ends with the signal, also where nothing is selected', async () => {
  const names = Array.from({ length: 1000 }, (_, index) => `n${index}`);
  const patterns = Array.from({ length: 200 }, (_, index) => `*n*${index}*x`);
  for (const [branch, selection] of [
    ['content', { includePatterns: patterns }],
    [{ link: 'nowhere' }, { followPaths: patterns }],
  ] as const) {
    const tree = memoryTree(dir(...names.map((name) => [name, branch] as const)));
    const abort = new AbortController();
    const reason = new Error('others had their turn');
    setImmediate(() => abort.abort(reason));
    const walk = select({ root: tree.root }, { ...everything, ...selection }, tree, abort.signal);
    assert.is(await walk.next().catch((error: unknown) => error), reason);
  }
});

test('groups links by what is selected in any tree, as one walk that remembers everything would', async () => {
  const random = new Random(11);
  for (let round = 0; round < 60; round++) {
    const root = dir();
    const files: string[] = [];
    const grow = (directory: ReturnType<typeof dir>, path: string, depth: number): void => {
      for (const name of ['a', 'b', 'c', 'd'].filter(() => random.chance(0.7))) {
        const at = path === '' ? name : `${path}/${name}`;
        if (depth < 3 && random.chance(0.5)) {
          const below = dir();
          directory.set(name, below);
          grow(below, at, depth + 1);
        } else if (files.length > 0 && random.chance(0.6)) {
          directory.set(name, { hardlink: random.pick(files) });
        } else {
          directory.set(name, at);
          files.push(at);
        }
      }
    };
    grow(root, '', 0);
    const tree = memoryTree(root);
    const excludePatterns = ['a', '**/b', 'c/*', '!c/a', '*/d', '!**/b/c'].filter(() => random.chance(0.4));
    const all = new Map((await paths(tree, {})).map((told) => [told.split(' = ')[0], told.split(' = ')[1]]));
    const first = new Map<string, string>();
    for (const told of await paths(tree, { excludePatterns })) {
      const [path = '', target] = told.split(' = ');
      const original = all.get(path) ?? path;
      if (!files.includes(original)) continue;
      assert.is(target, first.get(original), `${path} of ${original} without ${excludePatterns.join(' ')}`);
      if (target === undefined) first.set(original, path);
    }
  }
});

test('reads few directories for many links, also when they lead to and fro', async () => {
  const names = Array.from({ length: 300 }, (_, index) => `f${String(index).padStart(3, '0')}`);
  const tree = memoryTree(
    dir(
      ['a', dir(['x', dir(...names.map((name) => [name, name] as const))])],
      ['b', dir(['y', dir(...names.map((name) => [name, `b${name}`] as const))])],
      [
        'c',
        dir(
          ...names.map((name, index) => {
            return [name, { hardlink: index % 2 === 0 ? `a/x/${name}` : `b/y/${name}` }] as const;
          }),
        ),
      ],
    ),
  );
  let reads = 0;
  const counting = {
    ...tree,
    directory(digest: string, signal: AbortSignal) {
      reads += 1;
      return tree.directory(digest, signal);
    },
  };
  const links = (await paths(counting, {})).filter((path) => path.includes(' = '));
  assert.is(links.length, names.length);
  assert.ok(reads <= 12, String(reads));
});

test('finds names by their bytes, of any script', async () => {
  const names = ['a', 'z', '~', 'é', '中', '\uffee', '\u{1f69c}', '\u{10ffff}', 'a-', 'a0'];
  const tree = memoryTree(dir(...names.map((name) => [name, name] as const)));
  const reader = { root: tree.root, source: tree, signal: AbortSignal.timeout(5000) };
  for (const name of names) assert.is((await findEntry(reader, name))?.name, name);
  for (const name of ['', 'b', '\u{1f69d}', 'é/x']) assert.is(await findEntry(reader, name), undefined);
});

test.run();

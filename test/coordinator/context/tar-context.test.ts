import { gzipSync } from 'node:zlib';
import { pack, type Header } from 'tar-stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readTar } from '../../../coordinator/context/tar-context.ts';
import { buffers } from '../../../shared/context/buffers.ts';
import { decodeDirectory } from '../../../shared/context/encoding.ts';
import { Times } from '../../../shared/context/times.ts';
import { Matcher } from '../../../shared/context/ignore.ts';
import { defaultLimits, type ContextLimits } from '../../../shared/context/limits.ts';
import { failureOf } from '../../support/failure.ts';
import { collect, inChunks } from '../../support/memory-tree.ts';

const signal = AbortSignal.timeout(300_000);

type Item = Partial<Header> & { readonly name: string; readonly content?: string };

function archiveOf(...items: readonly Item[]): Promise<Buffer> {
  const tar = pack();
  for (const { content, ...header } of items) tar.entry(header, content ?? '');
  tar.finalize();
  return collect(buffers(tar));
}

function read(bytes: Buffer, limits: ContextLimits = defaultLimits): ReturnType<typeof readTar> {
  return readTar(inChunks(bytes, 100), { name: 'app.tar', limits, signal });
}

test('keeps files, links, modes and times to the nanosecond, with directories that are only implied', async () => {
  const bytes = await archiveOf(
    { name: './run.sh', mode: 0o4755, content: '#!', pax: { mtime: '1700000000.123456789' } },
    { name: 'deep/down/ü', content: 'x' },
    { name: 'deep/', type: 'directory', mode: 0o700 },
    { name: 'link', type: 'symlink', linkname: '../out' },
    { name: 'twin', type: 'link', linkname: 'run.sh' },
  );
  for (const archive of [bytes, gzipSync(bytes)]) {
    await using tar = await read(archive);
    const { root, times, directories, allTimes, files } = tar.snapshot(new Matcher([]));
    const directory = decodeDirectory(root, directories.get(root) ?? Buffer.alloc(0));
    const mtimes = new Times(allTimes.get(times?.digest ?? '') ?? Buffer.alloc(0), directory);
    assert.equal(
      directory.entries.map(
        (entry) => `${entry.type} ${entry.name} ${'target' in entry ? entry.target : entry.mode.toString(8)}`,
      ),
      ['directory deep 700', 'symlink link ../out', 'file run.sh 4755', 'hardlink twin run.sh'],
    );
    assert.is(mtimes.mtime(2), 1_700_000_000_123_456_789n);
    assert.is(files, 2);
    assert.equal((await tar.read('./run.sh'))?.content.toString(), '#!');
  }
});

test('entries that no context may hold are refused by name', async () => {
  const golden: [items: readonly Item[], message: RegExp][] = [
    [[{ name: '../up' }], /"\.\.\/up" is refused: its path leads out/],
    [[{ name: 'a/../../up' }], /leads out/],
    [[{ name: '/etc/passwd' }], /"\/etc\/passwd" is refused: its path leads out/],
    [[{ name: 'a' }, { name: './a' }], /"\.\/a" is refused: the archive has two/],
    [[{ name: 'a' }, { name: 'a/b' }], /"a\/b" is refused: a is no directory/],
    [
      [{ name: 'l', type: 'symlink', linkname: '/etc' }, { name: 'l/b' }],
      /"l\/b" is refused: l is no directory/,
    ],
    [[{ name: 'null', type: 'character-device' }], /"null" is refused: .*character-device/],
    [[{ name: 'sda', type: 'block-device' }], /"sda" is refused: .*block-device/],
    [[{ name: 'pipe', type: 'fifo' }], /"pipe" is refused: .*fifo/],
    [[{ name: 'h', type: 'link', linkname: 'later' }], /"h" is refused: it is a link to "later"/],
    [[{ name: 's', pax: { 'GNU.sparse.major': '1' } }], /"s" is refused: it is a sparse file/],
  ];
  for (const [items, message] of golden) {
    const error = await failureOf(read(await archiveOf(...items)));
    assert.is(error.code, 'context-invalid');
    assert.match(error.message, message);
  }
});

test('what is no archive, empty, cut or damaged is an error that names it', async () => {
  const bytes = await archiveOf({ name: 'a', content: 'x'.repeat(5000) });
  const zipped = gzipSync(bytes);
  const broken = [
    Buffer.alloc(0),
    Buffer.from('FROM scratch\n'.repeat(100)),
    bytes.subarray(0, 3000),
    zipped.subarray(0, -20),
    Buffer.alloc(1024),
  ];
  for (const candidate of broken) {
    const error = await failureOf(read(candidate));
    assert.is(error.code, 'context-invalid');
    assert.match(error.message, /^app\.tar is not a whole tar archive: /);
  }
});

test('limits hold for what the archive says, before it is stored', async () => {
  const bytes = await archiveOf({ name: 'a', content: '12345' }, { name: 'b', content: '6' });
  for (const limits of [
    { ...defaultLimits, bytes: 5 },
    { ...defaultLimits, entries: 1 },
  ]) {
    assert.is((await failureOf(read(bytes, limits))).code, 'context-limit');
  }
});

test.run();

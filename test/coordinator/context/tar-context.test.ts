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

test('a link to a symbolic link is that link again', async () => {
  const bytes = await archiveOf(
    { name: 'one', type: 'symlink', linkname: 'target' },
    { name: 'two', type: 'link', linkname: 'one' },
  );
  await using tar = await read(bytes);
  const { root, directories } = tar.snapshot(new Matcher([]));
  const { entries } = decodeDirectory(root, directories.get(root) ?? Buffer.alloc(0));
  assert.equal(
    entries.map((entry) => [entry.type, entry.name, 'target' in entry && entry.target]),
    [
      ['symlink', 'one', 'target'],
      ['symlink', 'two', 'target'],
    ],
  );
});

test('of two entries of a name the later one counts, as where an archive is unpacked', async () => {
  const bytes = await archiveOf(
    { name: 'Dockerfile', mode: 0o600, content: 'FROM old' },
    { name: 'copy', type: 'link', linkname: 'Dockerfile' },
    { name: 'now a file', type: 'symlink', linkname: 'copy' },
    { name: 'sub/', type: 'directory', mode: 0o700 },
    { name: 'sub/kept', mode: 0o640, content: 'kept' },
    { name: 'sub/', type: 'directory', mode: 0o750 },
    { name: './Dockerfile', mode: 0o644, content: 'FROM newer' },
    { name: 'twin', type: 'link', linkname: 'Dockerfile' },
    { name: 'now a file', mode: 0o644, content: '' },
  );
  await using tar = await read(bytes);
  const { root, directories, files, bytes: size } = tar.snapshot(new Matcher([]));
  const entriesOf = (digest: string): string[] =>
    decodeDirectory(digest, directories.get(digest) ?? Buffer.alloc(0)).entries.flatMap((entry) => {
      const text = `${entry.type} ${entry.name} ${'mode' in entry ? entry.mode.toString(8) : entry.target}`;
      return entry.type === 'directory' ? [text, ...entriesOf(entry.digest)] : [text];
    });
  assert.equal(entriesOf(root), [
    'file Dockerfile 644',
    'file copy 600',
    'file now a file 644',
    'directory sub 750',
    'file kept 640',
    'hardlink twin Dockerfile',
  ]);
  assert.equal([files, size], [4, 'FROM newerFROM oldkept'.length]);
  for (const [name, content] of [
    ['Dockerfile', 'FROM newer'],
    ['twin', 'FROM newer'],
    ['copy', 'FROM old'],
  ] as const) {
    assert.is((await tar.read(name))?.content.toString(), content);
  }
});

test('entries that no context may hold are refused by name [X1, X2, X4, X5, X9]', async () => {
  const golden: [items: readonly Item[], message: RegExp][] = [
    [[{ name: '../up' }], /"\.\.\/up" is refused: its path leads out/],
    [[{ name: 'a/../../up' }], /leads out/],
    [[{ name: '/etc/passwd' }], /"\/etc\/passwd" is refused: its path leads out/],
    [[{ name: 'a' }, { name: 'a/b' }], /"a\/b" is refused: a is no directory/],
    [[{ name: 'a/b' }, { name: './a' }], /"\.\/a" is refused: the archive has a directory of that name/],
    [
      [{ name: 'a' }, { name: 'a/', type: 'directory' }],
      /"a\/" is refused: the archive has a file or link of that name/,
    ],
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

test('what is no archive, empty, cut or damaged is an error that names it [X9, X10, X11]', async () => {
  const bytes = await archiveOf({ name: 'a', content: 'x'.repeat(5000) });
  const zipped = gzipSync(bytes);
  const broken = [
    Buffer.alloc(0),
    Buffer.from('FROM scratch\n'.repeat(100)),
    bytes.subarray(0, 3000),
    zipped.subarray(0, -20),
    Buffer.alloc(1024),
    // bzip2, xz and Zstandard
    Buffer.from('425a683931415926535953', 'hex'),
    Buffer.from('fd377a585a000004e6d6b446', 'hex'),
    Buffer.from('28b52ffd2400010000', 'hex'),
  ];
  for (const candidate of broken) {
    const error = await failureOf(read(candidate));
    assert.is(error.code, 'context-invalid');
    assert.match(error.message, /^app\.tar is not a whole tar archive: /);
  }
});

/** A header as no program writes it: `change` sees it before its checksum is made. */
function header(name: string, size: number, change: (block: Buffer) => void = () => {}): Buffer {
  const block = Buffer.alloc(512);
  const fields: [at: number, text: string][] = [
    [0, name],
    [100, '0000644\0'],
    [108, '0000000\0'],
    [116, '0000000\0'],
    [124, `${size.toString(8).padStart(11, '0')}\0`],
    [136, '00000000000\0'],
    [148, ' '.repeat(8)],
    [156, '0'],
    [257, 'ustar\x0000'],
  ];
  for (const [at, text] of fields) block.write(text, at, 'latin1');
  change(block);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function padded(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

function typed(type: string): (block: Buffer) => void {
  return (block) => block.write(type, 156, 'latin1');
}

test('headers that lie are refused by name, in little memory [X9]', async () => {
  const end = Buffer.alloc(1024);
  const file = Buffer.concat([header('a', 1), padded('x')]);
  const extended = (records: string): Buffer =>
    Buffer.concat([header('pax', records.length, typed('x')), padded(records)]);
  const size = (bytes: number[]): ((block: Buffer) => void) => {
    return (block) => block.fill(0xff, 124, 136).set(bytes, 136 - bytes.length);
  };
  const lies: [what: string, archive: Buffer, message: RegExp][] = [
    [
      'a wrong checksum',
      Buffer.concat([file, header('b', 0).fill('9', 148, 154), end]),
      /Invalid tar header/,
    ],
    ['the size -1', Buffer.concat([header('b', 0, size([])), end]), /"b" is refused: its size is negative/],
    ['the size -513', Buffer.concat([header('b', 0, size([0xfd, 0xff])), end]), /Invalid header/],
    ['more content than there is', Buffer.concat([header('b', 5000), padded('x'), end]), /Unexpected end/],
    ['a larger size by PAX', Buffer.concat([extended('17 size=99999999\n'), file, end]), /limit of 1000000/],
    ['a negative size by PAX', Buffer.concat([extended('11 size=-1\n'), file, end]), /Invalid header/],
    ['NUL in a name', Buffer.concat([extended('13 path=a\0/b\n'), file, end]), /not UTF-8 text/],
    ['a name that leads out by PAX', Buffer.concat([extended('15 path=../../b\n'), file, end]), /leads out/],
  ];
  for (const [what, archive, message] of lies) {
    const error = await failureOf(read(archive, { ...defaultLimits, bytes: 1_000_000 }));
    assert.ok(['context-invalid', 'context-limit'].includes(error.code), `${what}: ${error.code}`);
    assert.match(error.message, message, what);
  }
  {
    // No record at all: the entry is as its own header says.
    await using tar = await read(Buffer.concat([extended('x path=b\n'), file, end]));
    assert.is((await tar.read('a'))?.content.toString(), 'x');
  }
  const large = 512 * 40_000;
  const bomb = gzipSync(Buffer.concat([header('pax', large, typed('x')), Buffer.alloc(large)]));
  assert.match((await failureOf(read(bomb))).message, 'Header exceeds max size');
});

test('limits hold for what the archive says, before it is stored [X8, X10]', async () => {
  const bytes = await archiveOf({ name: 'a', content: '12345' }, { name: 'b', content: '6' });
  for (const limits of [
    { ...defaultLimits, bytes: 5 },
    { ...defaultLimits, entries: 1 },
  ]) {
    assert.is((await failureOf(read(bytes, limits))).code, 'context-limit');
  }
});

test.run();
